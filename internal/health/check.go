package health

import (
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/gpucheck"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
)

// Kept is how many checks of a deployment are kept.
const Kept = 20

// Limits of what is kept of a node's report.
const (
	maxChecks = 200
	maxGPUs   = 16 // unless more are expected
	maxText   = 64 // runes of a text of a GPU
)

// Trigger is why a check runs.
type Trigger string

// The triggers.
const (
	AtLaunch   Trigger = "launch"
	OnRequest  Trigger = "request"
	OnSchedule Trigger = "schedule"
)

// Enum lists every trigger.
func (Trigger) Enum() []Trigger { return []Trigger{AtLaunch, OnRequest, OnSchedule} }

// Check is one check of a deployment's machine.
type Check struct {
	ID         id.ID             `json:"id" doc:"Id of the check, chk_…."`
	Deployment id.ID             `json:"-"`
	OfferID    id.ID             `json:"offerId" doc:"Offer whose machine was checked."`
	Level      gpucheck.Level    `json:"level" doc:"Level of the check: 1 reads what the driver reports, higher levels put load on the GPUs."`
	Trigger    Trigger           `json:"trigger" doc:"launch: before the machine ran. request: a user asked for it. schedule: Billet repeats checks every few hours."`
	Verdict    *gpucheck.Verdict `json:"verdict" doc:"failed: at least one GPU or link doesn't work. not_checked: no statement can be made. null while the check is in progress."`
	Reason     string            `json:"reason" doc:"Reason of the verdict, for failed, not_checked and warning; else empty."`
	Nodes      []Node            `json:"nodes" doc:"Results of the machine's servers; in a list, empty except in the latest check that is finished."`
	CreatedAt  time.Time         `json:"createdAt" doc:"When the check was requested."`
	FinishedAt *time.Time        `json:"finishedAt" doc:"When the verdict was known; null before."`
}

// Node is what a check found on one server.
type Node struct {
	Index  int    `json:"index" doc:"Index of the server in the deployment's nodes."`
	Reason string `json:"reason" doc:"Reason of the verdict; empty if passed."`
	gpucheck.Report
}

// Result is what a check found.
type Result struct {
	Verdict gpucheck.Verdict
	Reason  string
	Nodes   []Node
}

// Answered reports whether every node was reached, and its output judged.
func (r Result) Answered() bool {
	return len(r.Nodes) > 0 && !slices.ContainsFunc(r.Nodes, func(n Node) bool { return len(n.Checks) == 0 })
}

// MayPass reports whether a failed machine may only be still starting: whether this may be so of
// each of its nodes that failed.
func (r Result) MayPass() bool {
	return r.Verdict == gpucheck.Failed && !slices.ContainsFunc(r.Nodes, func(n Node) bool {
		return n.Verdict == gpucheck.Failed && !n.MayPass
	})
}

// NotChecked is the result of a check that says nothing of the machine.
func NotChecked(reason string) Result {
	return Result{Verdict: gpucheck.NotChecked, Reason: reason, Nodes: []Node{}}
}

// severity orders verdicts, the worst first.
var severity = []gpucheck.Verdict{gpucheck.Failed, gpucheck.NotChecked, gpucheck.Warning, gpucheck.Passed}

// take takes over what was judged of the node's output, limited in length: a tenant writes it.
func (n *Node) take(r gpucheck.Report, expected int) {
	r.Checks = r.Checks[:min(len(r.Checks), maxChecks)]
	r.GPUs = r.GPUs[:min(len(r.GPUs), max(expected, maxGPUs))]
	for i := range r.GPUs {
		for _, text := range []*string{&r.GPUs[i].Model, &r.GPUs[i].UUID, &r.GPUs[i].Serial, &r.GPUs[i].BusID} {
			if runes := []rune(*text); len(runes) > maxText {
				*text = string(runes[:maxText-1]) + "…"
			}
		}
	}
	n.Report = r
	if r.Verdict == gpucheck.Passed {
		return
	}
	n.Reason = "The check says nothing about the GPUs."
	for _, c := range r.Checks {
		if c.Verdict == r.Verdict && (r.Verdict != gpucheck.NotChecked || slices.Contains(required, c.Name)) {
			n.Reason = provider.Plain(c.Detail, maxReason)
			return
		}
	}
}

// required are the checks without which a report is not_checked.
var required = []string{gpucheck.CheckCollection, gpucheck.CheckGPUCount, gpucheck.CheckCompute}

// combine returns the result of a machine: that of its worst node.
func combine(nodes []Node) Result {
	for _, v := range severity {
		for _, n := range nodes {
			if n.Verdict != v {
				continue
			}
			out := Result{Verdict: v, Reason: n.Reason, Nodes: nodes}
			if len(nodes) > 1 && n.Reason != "" {
				out.Reason = fmt.Sprintf("Node %d: %s", n.Index, n.Reason)
			}
			return out
		}
	}
	return NotChecked("The machine has no nodes.")
}
