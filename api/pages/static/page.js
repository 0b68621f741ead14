// Changes of a form without a full load, copy buttons, and the demonstration of a speed. Without it every form is a GET form.
(function () {
  "use strict";
  var main = document.getElementById("main"), asked = 0;

  // Of several changes the answer to the last one is shown, in whatever order the answers arrive.
  function show(url, push, focus) {
    var question = ++asked;
    main.classList.add("busy");
    return fetch(url, {headers: {accept: "text/html"}}).then(function (response) {
      if (push && response.redirected) url = response.url;
      return response.text();
    }).then(function (text) {
      if (question !== asked) return;
      var fresh = new DOMParser().parseFromString(text, "text/html");
      main.replaceChildren.apply(main, Array.prototype.slice.call(fresh.getElementById("main").childNodes));
      ["footer.bottom > p"].forEach(function (place) {
        var now = document.querySelector(place), then = fresh.querySelector(place);
        if (now && then) now.textContent = then.textContent;
      });
      document.title = fresh.title;
      main.classList.remove("busy");
      if (push) history.pushState({}, "", url);
      var place = focus && document.getElementById(focus);
      if (place) place.focus({preventScroll: true});
      enliven();
    }).catch(function () { if (question === asked) location.href = url; });
  }

  function address(form) {
    var values = new URLSearchParams();
    new FormData(form).forEach(function (value, name) { if (value !== "") values.append(name, value); });
    var text = values.toString(), path = new URL(form.action).pathname;
    return text ? path + "?" + text : path;
  }

  main.addEventListener("change", function (event) {
    var form = event.target.form;
    if (form && "live" in form.dataset) show(address(form), true, event.target.id);
  });
  main.addEventListener("submit", function (event) {
    if (!("live" in event.target.dataset)) return;
    event.preventDefault();
    show(address(event.target), true, document.activeElement && document.activeElement.id);
  });
  main.addEventListener("click", function (event) {
    var link = event.target.closest && event.target.closest("a[data-live]");
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    show(link.href, true);
  });
  addEventListener("popstate", function () { show(location.href, false); });

  function enliven() {
    document.querySelectorAll("pre.command").forEach(function (block) {
      if (!navigator.clipboard) return;
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = "Copy";
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(block.textContent).then(function () {
          button.textContent = "Copied";
          setTimeout(function () { button.textContent = "Copy"; }, 1500);
        });
      });
      block.insertAdjacentElement("afterend", button);
    });
    demonstrate(document.querySelector(".feel"));
    if (window.guessMachine) window.guessMachine();
  }

  function demonstrate(place) {
    if (!place) return;
    var wait = Number(place.dataset.ttftMs), speed = Number(place.dataset.tokS);
    var words = ("A language model writes one token after another. Each token needs every active weight to be read " +
      "once from memory, so the pace is set by how many bytes those are and how fast the memory is. Before the first " +
      "word the whole prompt is read; that part is bound by arithmetic and grows with the prompt. What you see here " +
      "appears at the estimated pace, after the estimated wait, for the chosen quantization and workload. ").split(/(?= )/);
    var button = document.createElement("button"), output = document.createElement("output"), timer = 0;
    button.type = "button";
    button.textContent = "Play at this speed";
    output.setAttribute("aria-live", "off");
    place.append(button);
    button.addEventListener("click", function () {
      cancelAnimationFrame(timer);
      // The box is there only while there is text in it.
      place.append(output);
      var begun = performance.now(), limit = 240;
      output.textContent = "";
      // A word is about 1.3 tokens of English text.
      (function draw(now) {
        var since = now - begun - wait;
        if (since < 0) {
          output.textContent = "Reading the prompt: " + ((now - begun) / 1000).toFixed(1) + " s";
        } else {
          var count = Math.min(limit, Math.floor(since / 1000 * speed / 1.3) + 1), text = "";
          for (var i = 0; i < count; i++) text += words[i % words.length];
          output.textContent = text;
          if (count >= limit) return;
        }
        timer = requestAnimationFrame(draw);
      })(performance.now());
    });
  }

  enliven();
})();
