// Package httpapi owns the resources of the API: their operations, what a request and a response
// look like, who may call what, and the texts of the OpenAPI document.
//
// A resource is a small type with the services that it uses, a method routes that declares its
// operations, and one method for each operation. server.go lists all resources.
//
// It does not own any rule of the product: services decide, this package decodes, calls and
// encodes. It keeps nothing and has no SQL. What all operations have in common is in package rest.
//
// Invariants:
//   - A session's call is checked against the user's role as a key's is against its scopes. A
//     change by a session comes from the dashboard's own pages.
//   - Every successful change is in the audit log once: a Write by the router, an Unmanaged
//     operation by its handler.
//   - Enumerations in the document come from the Enum method of their Go type.
package httpapi
