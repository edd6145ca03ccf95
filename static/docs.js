const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
followScheme();
dark.addEventListener("change", followScheme);

// Landmarks for screen readers that Swagger UI lacks: a region and a heading.
const inRegion = (Info, { React }) => (props) =>
  React.createElement("section", { "aria-label": "About" }, React.createElement(Info, props));
const underHeading = (Operations, { React }) => (props) =>
  React.createElement(
    React.Fragment,
    null,
    React.createElement("h2", null, "Requests"),
    React.createElement(Operations, props),
  );

SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#docs",
  plugins: [{ wrapComponents: { InfoContainer: inRegion, operations: underHeading } }],
});
