// Input of relay-compiler: a connection, pagination and refetch by node.
graphql`
  fragment documents_fits on Model
  @argumentDefinitions(count: { type: "Int", defaultValue: 3 }, cursor: { type: "String" })
  @refetchable(queryName: "documentsPaginationQuery") {
    fits(first: $count, after: $cursor, orderBy: [{ field: SCORE, direction: DESC }]) @connection(key: "documents_fits") {
      edges {
        node {
          ...documents_fit
        }
      }
    }
  }
`;
graphql`
  fragment documents_fit on Fit @refetchable(queryName: "documentsFitQuery") {
    status
    grade
    gpu {
      name
    }
  }
`;
graphql`
  query documentsQuery($model: String!) {
    model(slug: $model) {
      id
      ...documents_fits
    }
  }
`;
graphql`
  subscription documentsSubscription {
    decodeStream(model: "llama-2-7b", gpu: "rtx-4090") {
      index
    }
  }
`;
