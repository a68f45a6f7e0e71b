package client

import (
	"context"
	"net/http"
	"time"
)

// HealthPolicy is what a check of an offer's GPUs is for.
type HealthPolicy string

// The policies.
const (
	// HealthPolicyOff means that machines are not checked.
	HealthPolicyOff HealthPolicy = "off"
	// HealthPolicyReport shows the verdict, whatever it is.
	HealthPolicyReport HealthPolicy = "report"
	// HealthPolicyRequire starts a deployment, and its billing, only after its GPUs passed.
	HealthPolicyRequire HealthPolicy = "require"
)

// HealthAccess is how long Billet's key for checks stays on a machine.
type HealthAccess string

// The kinds of access.
const (
	// HealthAtLaunch removes the key before the deployment runs.
	HealthAtLaunch HealthAccess = "launch"
	// HealthKeep leaves it, so that checks can be requested.
	HealthKeep HealthAccess = "keep"
)

// HealthVerdict is the outcome of a check.
type HealthVerdict string

// The verdicts. HealthNotChecked says nothing about the GPUs.
const (
	HealthPassed     HealthVerdict = "passed"
	HealthWarning    HealthVerdict = "warning"
	HealthFailed     HealthVerdict = "failed"
	HealthNotChecked HealthVerdict = "not_checked"
)

// HealthTrigger is why a check was made.
type HealthTrigger string

// The triggers.
const (
	HealthOnLaunch   HealthTrigger = "launch"
	HealthOnRequest  HealthTrigger = "request"
	HealthOnSchedule HealthTrigger = "schedule"
)

// DeploymentHealth is what is known of a deployment's GPUs.
type DeploymentHealth struct {
	// Policy is the offer's policy when the deployment was created. Access is how long Billet's key
	// stays; KeyInstalled reports whether Billet can still log in.
	Policy       HealthPolicy `json:"policy"`
	Access       HealthAccess `json:"access"`
	KeyInstalled bool         `json:"keyInstalled"`
	// Verdict is that of the newest check, Reason its reason, CheckedAt its time; nil if there was
	// none.
	Verdict   *HealthVerdict `json:"verdict"`
	Reason    *string        `json:"reason"`
	CheckedAt *time.Time     `json:"checkedAt"`
}

// HealthReport is the checks of a deployment's GPUs.
type HealthReport struct {
	DeploymentHealth
	// Latest is the newest check that is finished; nil if there is none.
	Latest *HealthCheck `json:"latest"`
	// Checks are the newest 20, newest first.
	Checks []HealthCheck `json:"checks"`
}

// HealthCheck is a check of a deployment's GPUs.
type HealthCheck struct {
	// ID has the form chk_….
	ID string `json:"id"`
	// OfferID is the offer whose machine was checked.
	OfferID string `json:"offerId"`
	// Level is 1 for what the driver reports; higher levels put load on the GPUs.
	Level   int           `json:"level"`
	Trigger HealthTrigger `json:"trigger"`
	// Verdict is nil while the check is in progress. Reason is empty if it passed.
	Verdict *HealthVerdict `json:"verdict"`
	Reason  string         `json:"reason"`
	// Nodes are the results of the machine's servers.
	Nodes []NodeHealth `json:"nodes"`
	// CreatedAt is when it was requested, FinishedAt when its verdict was known; nil before.
	CreatedAt  time.Time  `json:"createdAt"`
	FinishedAt *time.Time `json:"finishedAt"`
}

// NodeHealth is what a check found on a server.
type NodeHealth struct {
	// Index is that of the server in the deployment's nodes.
	Index int `json:"index"`
	// Level, Verdict and Reason are those of this server.
	Level   int           `json:"level"`
	Verdict HealthVerdict `json:"verdict"`
	Reason  string        `json:"reason"`
	// Checks are the single checks, GPUs what the machine reports.
	Checks []GPUCheck `json:"checks"`
	GPUs   []GPU      `json:"gpus"`
	// DriverVersion and CUDAVersion are empty if unknown.
	DriverVersion string `json:"driverVersion"`
	CUDAVersion   string `json:"cudaVersion"`
}

// GPUCheck is the outcome for one property of a server.
type GPUCheck struct {
	// Name is a stable name, such as ecc. Detail is what was found.
	Name    string        `json:"name"`
	Verdict HealthVerdict `json:"verdict"`
	Detail  string        `json:"detail"`
}

// GPU is a GPU as its driver reports it. What is unknown is empty or 0.
type GPU struct {
	Index     int    `json:"index"`
	Model     string `json:"model"`
	UUID      string `json:"uuid"`
	Serial    string `json:"serial"`
	BusID     string `json:"busId"`
	MemoryMiB int    `json:"memoryMib"`
}

// CheckDeploymentHealth has the options of a check.
type CheckDeploymentHealth struct {
	// Level is 1 or 2; 0 means 1.
	Level int `json:"level,omitempty"`
}

// Health returns the checks of a deployment's GPUs.
func (s *DeploymentService) Health(ctx context.Context, id string, options ...CallOption) (*HealthReport, error) {
	return one[HealthReport](ctx, s.c, deployment(http.MethodGet, id, "/health", nil), options)
}

// CheckHealth has the GPUs of a running deployment checked in the background. It returns
// ErrConflict if Billet has no key for the machine.
func (s *DeploymentService) CheckHealth(
	ctx context.Context, id string, in CheckDeploymentHealth, options ...CallOption,
) (*HealthCheck, error) {
	return one[HealthCheck](ctx, s.c, deployment(http.MethodPost, id, "/health-checks", in), options)
}
