// A first guess of the machine from what the browser tells. It only fills the form; nothing is sent before somebody submits it.
(function () {
  "use strict";
  function renderer() {
    try {
      var gl = document.createElement("canvas").getContext("webgl");
      var info = gl && gl.getExtension("WEBGL_debug_renderer_info");
      return info ? String(gl.getParameter(info.UNMASKED_RENDERER_WEBGL)) : "";
    } catch (error) { return ""; }
  }

  function cleaned(text) {
    var inside = /ANGLE \([^,]*,\s*([^,]+)/.exec(text);
    return (inside ? inside[1] : text).replace(/ANGLE Metal Renderer:\s*/i, "").replace(/\s*\(0x[0-9a-f]+\)/i, "")
      .replace(/\s*(Direct3D|OpenGL|Vulkan|vs_|PCIe\/|SSE2).*$/i, "").replace(/\(TM\)|\(R\)/gi, "").trim();
  }

  window.guessMachine = function () {
    var field = document.getElementById("gpu"), place = document.getElementById("guess");
    if (!field || !place || field.value || document.getElementById("machine").value) return;
    var adapter = navigator.gpu ? navigator.gpu.requestAdapter().catch(function () { return null; }) : Promise.resolve(null);
    adapter.then(function (found) {
      var info = (found && found.info) || {}, name = cleaned(renderer()) || info.description || info.device || "";
      var facts = [];
      if (/swiftshader|llvmpipe|basic render/i.test(name)) name = "";
      if (name) facts.push(name);
      else if (info.vendor) facts.push([info.vendor, info.architecture].join(" ").trim());
      if (navigator.deviceMemory) facts.push(navigator.deviceMemory + (navigator.deviceMemory >= 8 ? " GB of memory or more" : " GB of memory"));
      if (navigator.hardwareConcurrency) facts.push(navigator.hardwareConcurrency + " threads");
      var platform = (navigator.userAgentData && navigator.userAgentData.platform) || navigator.platform;
      if (platform) facts.push(platform);
      if (!facts.length) return;
      if (name) field.value = name;
      place.textContent = "The browser tells: " + facts.join(", ") + ". Correct it where it is wrong; memory of a Mac goes after its name.";
    });
  };
  window.guessMachine();
})();
