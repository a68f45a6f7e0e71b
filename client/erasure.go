package client

import (
	"context"
	"net/http"
	"time"
)

// Erasure is the record of how the drives of a deployment's machine were erased after it ended.
type Erasure struct {
	ID           string    `json:"id"`
	MachineID    string    `json:"machineId"`
	DeploymentID string    `json:"deploymentId"`
	StartedAt    time.Time `json:"startedAt"`
	EndedAt      time.Time `json:"endedAt"`
	// Passed reports whether every drive was erased and that was proven.
	Passed bool `json:"passed"`
	// Reason is why it did not pass; empty if it did.
	Reason string        `json:"reason"`
	Drives []ErasedDrive `json:"drives"`
}

// ErasedDrive is the record of one drive.
type ErasedDrive struct {
	Serial string `json:"serial"`
	Model  string `json:"model"`
	// Method is sanitize_crypto, sanitize_block, nvme_format, ata_secure_erase or overwrite.
	Method    string    `json:"method"`
	Bytes     int       `json:"bytes"`
	StartedAt time.Time `json:"startedAt"`
	EndedAt   time.Time `json:"endedAt"`
	// Marks are random marks that were written before; MarksGone of them were gone afterwards.
	Marks     int `json:"marks"`
	MarksGone int `json:"marksGone"`
	// Verdict is erased, failed, marks_found, missing or unexpected.
	Verdict string `json:"verdict"`
	// Detail is what failed; empty if nothing did.
	Detail string `json:"detail"`
}

// Erasure returns how the drives of a deployment's machine were erased. It is recorded for the
// operator's own machines, once the deployment has ended.
func (s *DeploymentService) Erasure(ctx context.Context, id string, options ...CallOption) (*Erasure, error) {
	return one[Erasure](ctx, s.c, deployment(http.MethodGet, id, "/erasure", nil), options)
}
