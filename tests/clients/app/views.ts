// Three views of an application, without a cast: a list with a filter, a pairing, a comparison.
import { graphql } from "./generated/index.js";
import type {
  ComparePageQuery,
  ListPageQuery,
  PairPageQuery,
  TypedDocumentString,
  VerdictFragment,
} from "./generated/graphql.js";

graphql(/* GraphQL */ `
  fragment Verdict on Prediction {
    status
    usability
    grade
    headline
    quant { name }
    memory { totalBytes usableBytes }
    decode { tokensPerSecond low high evidence }
    limits { code share }
  }
`);

const LIST = graphql(/* GraphQL */ `
  query ListPage($model: String!, $workload: WorkloadKind!) {
    model(slug: $model) {
      name
      releaseDate
      fits(
        filter: { workload: { in: [$workload] }, status: { notIn: [DOES_NOT_FIT] } }
        orderBy: [{ field: DECODE }]
        onePer: GPU
        first: 10
      ) {
        totalCount
        nodes { id gpu { name } ...Verdict }
      }
    }
  }
`);
const PAIR = graphql(/* GraphQL */ `
  query PairPage($model: String!, $gpu: String!, $question: EstimateInput!) {
    fit(model: $model, gpu: $gpu) { model { name } gpu { name } ...Verdict }
    estimate(input: $question) { contextTokens ...Verdict }
  }
`);
const COMPARE = graphql(/* GraphQL */ `
  query ComparePage($input: ComparisonInput!) {
    comparison(input: $input) {
      winner
      warnings { code columns }
      columns { gpu { name } gpuCount error { code suggestions } prediction { ...Verdict } }
      rows { measure unit values }
    }
  }
`);

interface Answer<T> {
  data?: T | null;
  errors?: ReadonlyArray<{ message: string; extensions: { code: string } }>;
}

function isAnswer<T>(value: unknown): value is Answer<T> {
  return typeof value === "object" && value !== null && ("data" in value || "errors" in value);
}

interface Server {
  url: string;
  // Whether it takes documents by the ids of their build alone.
  isTrusting: boolean;
}

async function ask<T, V>(server: Server, document: TypedDocumentString<T, V>, variables: V): Promise<T> {
  const named = server.isTrusting ? { documentId: document.__meta__?.["hash"] } : { query: document.toString() };
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ ...named, variables }),
  });
  const answer: unknown = await response.json();
  if (!isAnswer<T>(answer) || !answer.data) throw new Error(JSON.stringify(answer));
  return answer.data;
}

function verdict(shown: VerdictFragment): string {
  const speed = shown.decode ? `${shown.decode.tokensPerSecond.toFixed(1)} tok/s (${shown.decode.evidence})` : "does not run";
  const memory = shown.memory ? `${(shown.memory.totalBytes / 2 ** 30).toFixed(1)} GiB` : "no engine";
  return `${shown.grade} ${shown.quant.name} ${shown.status} ${speed} ${memory} ${shown.limits.map((limit) => limit.code).join(" ")}`;
}

function list({ model }: ListPageQuery): string[] {
  if (!model) return ["no such model"];
  return [`${model.name} ${model.releaseDate ?? ""}`, ...(model.fits?.nodes ?? []).map((fit) => `${fit.gpu.name}: ${verdict(fit)}`)];
}

function pair({ fit, estimate }: PairPageQuery): string[] {
  const published = fit ? [`${fit.model.name} on ${fit.gpu.name}: ${verdict(fit)}`] : [];
  const asked = estimate ? [`with ${estimate.contextTokens} tokens: ${verdict(estimate)}`] : [];
  return [...published, ...asked];
}

function compare({ comparison }: ComparePageQuery): string[] {
  if (!comparison) return ["no comparison"];
  return comparison.columns.map((column, place) => {
    const name = `${place === comparison.winner ? "* " : ""}${column.gpuCount} x ${column.gpu?.name ?? "?"}`;
    return column.prediction ? `${name}: ${verdict(column.prediction)}` : `${name}: ${column.error?.code ?? ""} ${column.error?.suggestions[0] ?? ""}`;
  });
}

export async function show(url: string, view: string, isTrusting = false): Promise<string[]> {
  const server = { url, isTrusting };
  const model = "llama-3.1-8b";
  if (view === "list") return list(await ask(server, LIST, { model, workload: "CHAT" }));
  const question = { model: { slug: model }, machine: { gpu: "rtx-3090" }, quant: "q4-k-m", contextTokens: 65536 };
  if (view === "pair") return pair(await ask(server, PAIR, { model, gpu: "rtx-3090", question }));
  const input = { models: [model], gpus: ["rtx-3090", "rtx-4091"], gpuCounts: [1, 2] };
  return compare(await ask(server, COMPARE, { input }));
}
