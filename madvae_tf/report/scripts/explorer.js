// The gallery: one class, one attack, one variant; three pictures cut from one sprite, and the classifier's probabilities.
(() => {
  "use strict";
  const source = document.getElementById("explorer-data");
  if (!source) return;
  const data = JSON.parse(source.textContent);
  const root = document.getElementById("explorer");
  const picks = Object.fromEntries(["digit", "attack", "variant"].map((name) => [name, root.querySelector("#pick-" + name)]));
  const status = root.querySelector("#explorer-status");
  const [width, height] = data.size;
  const sprite = new Image();

  // What each of the three pictures is: its place in the sprite, and whose predictions belong to it.
  const shown = () => {
    const attack = picks.attack.value;
    const variant = picks.variant.value;
    const attacked = attack === "none" ? "clean" : "adversarial/" + attack;
    return {
      clean: ["clean", "none/none"],
      adversarial: [attacked, "none/" + attack],
      purified: ["purified/" + variant + "/" + attack, variant + "/" + attack],
    };
  };

  const draw = () => {
    const place = Number(picks.digit.value);
    const truth = data.labels[place];
    const words = [];
    for (const [name, [picture, who]] of Object.entries(shown())) {
      const canvas = root.querySelector("#picture-" + name);
      const row = data.pictures.indexOf(picture);
      const context = canvas.getContext("2d");
      context.clearRect(0, 0, width, height);
      if (row >= 0) context.drawImage(sprite, place * width, row * height, width, height, 0, 0, width, height);
      const predicted = data.predictions[who] ? data.predictions[who][place] : null;
      const shares = data.probabilities[who] ? data.probabilities[who][place].map((share) => share / 10000) : null;
      let answer = row < 0 ? "not measured" : predicted === null ? "no prediction" : "classified as " + data.names[predicted];
      if (row >= 0 && predicted !== null && shares) answer += " (" + shares[data.classes.indexOf(predicted)].toFixed(4) + ")";
      const wrong = row >= 0 && predicted !== null && predicted !== truth;
      const box = canvas.closest("figure");
      box.classList.toggle("wrong", wrong);
      box.querySelector(".answer").textContent = answer + (wrong ? ", wrong" : "");
      canvas.setAttribute("aria-label", name + " image, " + answer + (wrong ? ", wrong" : ""));
      words.push(name + ": " + answer + (wrong ? ", wrong" : ""));
      root.querySelectorAll('td[data-of="' + name + '"]').forEach((cell, line) => {
        const share = row >= 0 && shares ? shares[line] : null;
        cell.textContent = share === null ? "–" : share.toFixed(4);
        cell.style.setProperty("--p", share === null ? 0 : share);
        cell.classList.toggle("top", share !== null && data.classes[line] === predicted);
      });
    }
    root.querySelectorAll("tbody tr").forEach((line, place) => line.classList.toggle("truth", data.classes[place] === truth));
    status.textContent = data.word + " " + data.names[truth] + ". " + words.join("; ") + ".";
  };

  sprite.addEventListener("load", () => {
    root.hidden = false;
    for (const pick of Object.values(picks)) pick.addEventListener("change", draw);
    draw();
    root.dataset.ready = "yes";
  });
  sprite.src = data.sprite;
})();
