// Command oapi rents a machine with a client that oapi-codegen has made of docs/openapi.json.
package main
