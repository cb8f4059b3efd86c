"use strict";
// Opens the fixed and the moved scan in NiiVue, as NIfTI files made from the volumes of
// the viewer.
(() => {
  const { data, decode, state } = window.voltween;
  const button = document.getElementById("open-volume");

  async function addScript() {
    const text = document.getElementById("niivue-data").textContent;
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  // A NIfTI-1 file of unsigned bytes.
  function nifti(bytes) {
    const buffer = new ArrayBuffer(352 + bytes.length);
    const view = new DataView(buffer);
    const column = (c) => Math.hypot(...data.voxel_to_mm.map((row) => row[c]));
    view.setInt32(0, 348, true);
    [3, ...data.shape, 1, 1, 1, 1].forEach((n, at) => view.setInt16(40 + 2 * at, n, true));
    view.setInt16(70, 2, true);  // unsigned bytes
    view.setInt16(72, 8, true);
    [1, column(0), column(1), column(2)].forEach((mm, at) => view.setFloat32(76 + 4 * at, mm, true));
    view.setFloat32(108, 352, true);
    view.setFloat32(112, 1, true);
    view.setUint8(123, 2);  // mm
    view.setInt16(254, 1, true);  // by the matrix of sform
    data.voxel_to_mm.flat().forEach((value, at) => view.setFloat32(280 + 4 * at, value, true));
    view.setUint32(344, 0x6e2b3100, false);  // n+1
    new Uint8Array(buffer, 352).set(bytes);
    return buffer;
  }

  button.addEventListener("click", async () => {
    button.disabled = true;
    if (!window.niivue) await addScript();
    const stage = data.stages[state.stage];
    const [fixed, moved] = await Promise.all([decode(data.fixed), decode(stage.moved)]);
    document.getElementById("volume").hidden = false;
    const viewer = new window.niivue.Niivue({
      backColor: [0, 0, 0, 1], multiplanarShowRender: 1,
    });
    await viewer.attachToCanvas(document.getElementById("volume-canvas"));
    await viewer.loadFromArrayBuffer(nifti(fixed.bytes), "fixed.nii");
    await viewer.loadFromArrayBuffer(nifti(moved.bytes), "moved.nii");
    viewer.setColormap(viewer.volumes[1].id, "red");
    viewer.setOpacity(1, 0.4);
    document.getElementById("volume").dataset.volumes = viewer.volumes.length;
    button.textContent = `Fixed in gray, moved (${stage.name}) in red, by NiiVue`;
  });
})();
