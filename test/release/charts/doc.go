// Package charts tests packaging/helm with Helm's own templates and Kubernetes' types, and
// packaging/compose with Compose's own loader. `make charts` runs it.
package charts
