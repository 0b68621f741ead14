// Apollo Client: normalized cache, Relay pagination, automatic persisted queries, subscriptions over a websocket.
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { assert, http, run, websocket } from "./common.mjs";

const sent = [];
const counting = new HttpLink({
  uri: http,
  fetch: async (address, options) => {
    const response = await fetch(address, options);
    sent.push({ url: String(address), body: options.body, response: await response.clone().json() });
    return response;
  },
});
const socket = createClient({ url: websocket, webSocketImpl: WebSocket });
const persisted = new PersistedQueryLink({ sha256: (text) => createHash("sha256").update(text).digest("hex") });
const client = new ApolloClient({
  link: ApolloLink.split(
    ({ operationType }) => operationType === "subscription",
    new GraphQLWsLink(socket),
    persisted.concat(counting),
  ),
  cache: new InMemoryCache({
    possibleTypes: { Node: ["Model", "Gpu", "Quant", "Workload", "Engine", "Host", "Fit", "Run"], Prediction: ["Fit", "Estimate"] },
    typePolicies: { Model: { fields: { fits: relayStylePagination(["filter", "orderBy"]) } } },
  }),
});
const FITS = gql`
  query Fits($model: String!, $after: String) {
    model(slug: $model) {
      id
      name
      fits(first: 3, after: $after, orderBy: [{ field: DECODE, direction: DESC }]) {
        totalCount
        edges { cursor node { id status decode { tokensPerSecond } gpu { id name } quant { id name } } }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`;
const variables = { model: "llama-3.1-8b" };

await run({
  "nested query through a persisted document": async () => {
    const { data } = await client.query({ query: FITS, variables });
    assert.equal(data.model.fits.edges.length, 3);
    assert.equal(sent.length, 2, "the hash alone, then the hash with the document");
    assert.equal(sent[0].response.errors[0].message, "PersistedQueryNotFound");
    await client.query({ query: FITS, variables: { model: "llama-2-7b" } });
    assert.equal(sent.length, 3, "the second time the hash is enough");
    assert.ok(!sent[2].body?.includes("tokensPerSecond"));
  },
  "objects are normalised by id": async () => {
    const { data } = await client.query({ query: FITS, variables });
    const first = data.model.fits.edges[0].node;
    const kept = client.cache.readFragment({
      id: client.cache.identify(first.gpu),
      fragment: gql`fragment Card on Gpu { id name }`,
    });
    assert.equal(kept.name, first.gpu.name);
    const again = await client.query({
      query: gql`query Again($id: ID!) { node(id: $id) { id ... on Fit { status } } }`,
      variables: { id: first.id },
    });
    assert.equal(again.data.node.id, first.id);
    assert.equal(again.data.node.status, first.status);
  },
  "pages append": async () => {
    const observed = client.watchQuery({ query: FITS, variables });
    const page = await new Promise((resolve) => {
      observed.subscribe(({ data, dataState }) => dataState === "complete" && resolve(data));
    });
    assert.ok(page.model.fits.pageInfo.hasNextPage);
    await observed.fetchMore({ variables: { after: page.model.fits.pageInfo.endCursor } });
    const { edges } = client.cache.readQuery({ query: FITS, variables }).model.fits;
    assert.equal(edges.length, 6);
    assert.equal(new Set(edges.map(({ node }) => node.id)).size, 6);
    const speeds = edges.map(({ node }) => node.decode?.tokensPerSecond ?? 0);
    assert.deepEqual(speeds, [...speeds].sort((a, b) => b - a));
  },
  "errors are typed": async () => {
    const failed = await client
      .query({ query: gql`query { fit(model: "no-such-model", gpu: "rtx-4090") { id } }`, errorPolicy: "all" })
      .catch((error) => ({ error }));
    const code = failed.error?.errors?.[0]?.extensions?.code;
    assert.ok(code, "an error carries a code");
  },
  "a subscription over graphql-transport-ws": async () => {
    const tokens = await new Promise((resolve, reject) => {
      const seen = [];
      const query = gql`subscription { decodeStream(model: "llama-2-7b", gpu: "rtx-4090") { index text atMs } }`;
      const watched = client.subscribe({ query }).subscribe({
        next: ({ data, error }) => {
          if (error) reject(error);
          seen.push(data.decodeStream);
          if (seen.length === 3) {
            watched.unsubscribe();
            resolve(seen);
          }
        },
        error: reject,
      });
    });
    assert.deepEqual(tokens.map(({ index }) => index), [0, 1, 2]);
    await socket.dispose();
  },
});
