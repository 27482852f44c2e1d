// What this documentation reads in the OpenAPI document.

// Returns the operations in the order of the document. Those that answer as another one are part of it: HEAD is part of
// GET, and `direct` is the path on which the query is asked without the cache.
export function operationsOf(api) {
  return Object.entries(api.paths).flatMap(([path, item]) => ["get", "post"]
    .filter((method) => item[method] !== undefined && !item[method].tags.includes("without cache"))
    .map((method) => ({
      id: item[method].operationId,
      group: item[method].tags[0],
      method: method.toUpperCase(),
      path,
      summary: item[method].summary,
      about: item[method]["x-cacheaside"], // of a query or command
      direct: api.paths[`${path}/direct`] && `${path}/direct`,
      hasHead: item.head !== undefined,
      authorization: Object.keys(item[method].security?.[0] ?? { open: [] })[0],
      parameters: item[method].parameters ?? [],
      body: resolved(api, item[method].requestBody)?.content["application/json"],
      responses: Object.entries(item[method].responses).map(([status, response]) => ({ status, ...resolved(api, response) })),
    })));
}

// Returns the part of the document that `part` refers to, or `part` itself.
export function resolved(api, part) {
  if (part?.$ref === undefined) return part;
  return resolved(api, part.$ref.slice(2).split("/").reduce((holder, name) => holder[name], api));
}

// Returns the JSON Schema of one row of the answer, with `properties` if PostgreSQL has described it.
export function rowSchema(api, answer) {
  const data = resolved(api, resolved(api, answer.schema).properties.data);
  return resolved(api, data.items ?? data);
}
