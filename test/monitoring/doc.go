// Package monitoring tests what an operator watches a server with: the metrics of a real billetd,
// the alerts in deploy/prometheus, the board in deploy/grafana, and that docs/operations.md says
// what to do about each alert. Prometheus' own promtool judges the metrics and the queries.
package monitoring
