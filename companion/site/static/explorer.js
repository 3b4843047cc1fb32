// Sliders over a stored grid of pictures: the picture k of the stops i, j, ... is i-j-....k.png.
document.addEventListener("DOMContentLoaded", () => {
  for (const explorer of document.querySelectorAll(".explorer")) {
    const sliders = [...explorer.querySelectorAll("input")];
    const redraw = () => {
      const place = sliders.map((slider) => slider.value).join("-");
      const told = sliders.map((slider) => {
        const stop = JSON.parse(slider.dataset.stops)[slider.value];
        slider.nextElementSibling.textContent = stop;
        return `${slider.getAttribute("aria-label")} = ${stop}`;
      });
      for (const picture of explorer.querySelectorAll("img")) {
        picture.src = `${explorer.dataset.folder}/${place}.${picture.dataset.number}.png`;
        picture.alt = told.join(", ");
      }
    };
    sliders.forEach((slider) => slider.addEventListener("input", redraw));
    redraw(); // a browser may have kept where the sliders stood
  }
});
