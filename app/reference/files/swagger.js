// A file of its own, because the Content-Security-Policy runs no script within the page.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  showExtensions: true,
  showCommonExtensions: true,
  // Its validator badge would send the address of this service to another host.
  validatorUrl: null,
});
