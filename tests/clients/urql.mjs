// urql: documents by POST and by GET, subscriptions as server-sent events.
import { Client, fetchExchange, gql, subscriptionExchange } from "@urql/core";
import { createClient } from "graphql-sse";
import { assert, http, run } from "./common.mjs";

const events = createClient({ url: http });
const client = new Client({
  url: http,
  preferGetMethod: false,
  exchanges: [
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (operation) => ({
        subscribe: (sink) => ({ unsubscribe: events.subscribe({ ...operation, query: operation.query ?? "" }, sink) }),
      }),
    }),
  ],
});
const COMPARE = gql`
  query Compare($gpus: [String!]!) {
    comparison(input: { models: ["llama-3.1-8b"], gpus: $gpus, workload: CHAT }) { __typename }
  }
`;

await run({
  "a comparison by POST and the same by GET": async () => {
    const variables = { gpus: ["rtx-4090", "rtx-3090"] };
    const posted = await client.query(COMPARE, variables).toPromise();
    const got = await client.query(COMPARE, variables, { preferGetMethod: "force" }).toPromise();
    assert.equal(posted.error, undefined);
    assert.deepEqual(got.data, posted.data);
  },
  "errors arrive with their codes": async () => {
    const { error } = await client.query(gql`query { model(slug: "llama-2-7b") { nope } }`, {}).toPromise();
    assert.equal(error.graphQLErrors.length, 1);
    assert.ok(error.graphQLErrors[0].extensions.code);
  },
  "a subscription as server-sent events": async () => {
    const query = gql`subscription { decodeStream(model: "llama-2-7b", gpu: "rtx-3090") { index atMs } }`;
    const seen = await new Promise((resolve, reject) => {
      const tokens = [];
      const watched = client.subscription(query, {}).subscribe(({ data, error }) => {
        if (error) reject(error);
        if (data) tokens.push(data.decodeStream);
        if (tokens.length === 3) {
          setTimeout(() => watched.unsubscribe());
          resolve(tokens);
        }
      });
    });
    assert.deepEqual(seen.map(({ index }) => index), [0, 1, 2]);
    assert.ok(seen[2].atMs > seen[0].atMs);
    events.dispose();
  },
});
