// The theme shrinks a diagram to the width of the page. Its letters stay readable down to 60 %:
// below, the diagram scrolls.
const render = mermaid.render;
mermaid.render = async (...diagram) => {
  const result = await render(...diagram);
  const withMinimum = (style, width) => `${style} min-width: ${0.6 * width}px;`;
  return { ...result, svg: result.svg.replace(/max-width: ([\d.]+)px;/, withMinimum) };
};
