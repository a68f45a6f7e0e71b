package client

import (
	"context"
	"net/http"
	"strings"
)

// QuotaLimits are the most that the account may have at once. A nil one means no limit.
type QuotaLimits struct {
	// Machines counts deployments that have not ended, GPUs their GPUs.
	Machines *int `json:"machines"`
	GPUs     *int `json:"gpus"`
	// HourlySpend is that of deployments and volumes together.
	HourlySpend *Money `json:"hourlySpend"`
	// Volumes counts volumes that are not deleted, VolumeGB is their size in decimal GB, together.
	Volumes  *int `json:"volumes"`
	VolumeGB *int `json:"volumeGb"`
}

// QuotaUsage is what the account has, in the units of QuotaLimits.
type QuotaUsage struct {
	Machines    int   `json:"machines"`
	GPUs        int   `json:"gpus"`
	HourlySpend Money `json:"hourlySpend"`
	Volumes     int   `json:"volumes"`
	VolumeGB    int   `json:"volumeGb"`
}

// Quotas are how much the account may have at once, and what it uses of that.
type Quotas struct {
	Limits QuotaLimits `json:"limits"`
	Used   QuotaUsage  `json:"used"`
}

// QuotaService reads the account's quotas. Only the operator changes them.
type QuotaService struct{ c *Client }

// Get returns the quotas of the account. It needs the scope deployments:read.
func (s *QuotaService) Get(ctx context.Context, options ...CallOption) (*Quotas, error) {
	r := request{method: http.MethodGet, path: "/quotas"}
	r.url = strings.TrimSuffix(s.c.base, "/inventory") + "/account" + r.path
	return one[Quotas](ctx, s.c, r, options)
}
