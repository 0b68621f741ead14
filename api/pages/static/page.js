// Copy buttons and the typing demonstration; the page says the same without them.
(function () {
  "use strict";
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

  var place = document.querySelector(".feel");
  if (!place) return;
  var wait = Number(place.dataset.ttftMs), speed = Number(place.dataset.tokS);
  var words = ("A language model writes one token after another. Each token needs every active weight to be read " +
    "once from memory, so the pace is set by how many bytes those are and how fast the memory is. Before the first " +
    "word the whole prompt is read; that part is bound by arithmetic and grows with the prompt. What you see here " +
    "appears at the estimated pace, after the estimated wait, for the chosen quantization and workload. ").split(/(?= )/);
  var button = document.createElement("button"), output = document.createElement("output"), timer = 0;
  button.type = "button";
  button.textContent = "Play";
  output.setAttribute("aria-live", "off");
  place.append(button, output);
  button.addEventListener("click", function () {
    cancelAnimationFrame(timer);
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
})();
