// Input of tsc --strict: the generated types have nullability, enums and nested shapes.
import { graphql } from "./generated/index.js";
import type { ResultOf, TypedDocumentNode } from "@graphql-typed-document-node/core";

export const FIT = graphql(/* GraphQL */ `
  query Fit($model: String!, $gpu: String!, $workload: WorkloadKind) {
    fit(model: $model, gpu: $gpu, workload: $workload) {
      status
      decode { tokensPerSecond low high evidence }
      memory { totalBytes usableBytes }
      gpu { name memoryBytes }
    }
  }
`);

type Fit = NonNullable<ResultOf<typeof FIT>["fit"]>;
type VariablesOf<T> = T extends TypedDocumentNode<unknown, infer Variables> ? Variables : never;

export function describe(fit: Fit): string {
  const speed: number | undefined = fit.decode?.tokensPerSecond;
  const name: string = fit.gpu.name;
  return `${name}: ${fit.status}${speed === undefined ? "" : ` at ${speed.toFixed(1)} tok/s`}`;
}

export const asked: VariablesOf<typeof FIT> = { model: "llama-3.1-8b", gpu: "rtx-4090", workload: "CHAT" };
// @ts-expect-error a workload is one of the enum's values
export const wrong: VariablesOf<typeof FIT> = { model: "llama-3.1-8b", gpu: "rtx-4090", workload: "NOPE" };
// @ts-expect-error a decode speed may be unknown
export const careless = (fit: Fit): number => fit.decode.tokensPerSecond;
