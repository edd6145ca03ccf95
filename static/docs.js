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
// Requests go to the host that this page is from: PUBLIC_URL may be another name of it, which is another
// origin to the browser. So there is no choice of servers.
const noServers = () => () => null;
const toThisHost = (request) => {
  const { pathname, search } = new URL(request.url, location);
  return Object.assign(request, { url: location.origin + pathname + search });
};

SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#docs",
  requestInterceptor: toThisHost,
  plugins: [
    { wrapComponents: { InfoContainer: inRegion, operations: underHeading, ServersContainer: noServers } },
  ],
});
