// Starts GraphiQL against this server. Queries go over HTTP, subscriptions over server-sent events.
(function () {
  "use strict";
  const endpoint = "/graphql";
  const element = document.getElementById("explorer");

  function isSubscription(text, name) {
    const operations = [...text.matchAll(/^\s*(query|mutation|subscription)\b\s*(\w*)/gm)];
    const chosen = operations.find((match) => !name || match[2] === name);
    return Boolean(chosen) && chosen[1] === "subscription";
  }

  async function* events(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += value;
      const parts = rest.split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const lines = part.split("\n");
        if (lines.some((line) => line.startsWith("event:") && line.includes("complete"))) return;
        const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5)).join("\n").trim();
        if (data) yield JSON.parse(data);
      }
    }
  }

  async function fetcher(request, options) {
    const stream = isSubscription(request.query, request.operationName);
    const response = await fetch(endpoint, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: stream ? "text/event-stream" : "application/graphql-response+json, application/json",
        ...(options && options.headers),
      },
      body: JSON.stringify(request),
    });
    if (stream && response.ok) return events(response);
    return response.json();
  }

  // The editors come without names and out of reach of the keyboard's scrolling; both are added as they appear.
  const names = { "graphiql-query-editor": "Query", "graphiql-editor-tool": "Variables", "result-window": "Result" };
  function nameEditors() {
    for (const [place, name] of Object.entries(names)) {
      for (const area of element.querySelectorAll("." + place + " textarea:not([aria-label])")) {
        area.setAttribute("aria-label", name);
      }
      for (const part of element.querySelectorAll("." + place + " .CodeMirror-scroll[tabindex='-1']")) {
        part.tabIndex = 0;
      }
    }
  }
  new MutationObserver(nameEditors).observe(element, { childList: true, subtree: true });

  ReactDOM.createRoot(element).render(
    React.createElement(GraphiQL, {
      fetcher,
      defaultQuery: element.dataset.query,
      shouldPersistHeaders: false,
      inputValueDeprecation: true,
    }),
  );
})();
