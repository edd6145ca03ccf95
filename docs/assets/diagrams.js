// The theme shrinks a diagram to the width of the page. Its letters stay readable down to 60 %:
// below, the diagram scrolls.
{
  const render = mermaid.render;
  const withMinimum = (style, width) => `${style} min-width: ${0.6 * width}px;`;
  mermaid.render = async (...diagram) => {
    const result = await render(...diagram);
    return { ...result, svg: result.svg.replace(/max-width: ([\d.]+)px;/, withMinimum) };
  };
}
