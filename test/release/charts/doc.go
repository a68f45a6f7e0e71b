// Package charts tests packaging/helm with Helm's own templates and Kubernetes' types, and
// packaging/compose with Compose's own loader. `make charts` and `make test`
// run it. It is a module of its own, so that Billet needs none of them.
package charts
