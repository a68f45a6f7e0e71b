package client

import (
	"context"
	"iter"
	"time"
)

// ServiceCreditCause is why money was credited for a deployment.
type ServiceCreditCause string

// The causes of service credits.
const (
	// MachineLost means that the provider lost the machine.
	MachineLost ServiceCreditCause = "machine_lost"
	// MachineUnhealthy means that the provider reported the machine as broken.
	MachineUnhealthy ServiceCreditCause = "machine_unhealthy"
	// MachineOff means that the machine was off without a request of the tenant.
	MachineOff ServiceCreditCause = "machine_off"
	// GPUsFailed means that some of the GPUs did not work, or all of them.
	GPUsFailed ServiceCreditCause = "gpus_failed"
)

// ServiceCredit is money that was credited because a machine, or GPUs of one, did not work.
type ServiceCredit struct {
	// ID has the form svc_….
	ID string `json:"id"`
	// DeploymentID is the deployment, DeploymentName its name at that time.
	DeploymentID   string             `json:"deploymentId"`
	DeploymentName string             `json:"deploymentName"`
	Cause          ServiceCreditCause `json:"cause"`
	// From and To are the time that is credited.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// FailedGPUs of GPUs did not work.
	FailedGPUs int `json:"failedGpus"`
	GPUs       int `json:"gpus"`
	// HourlyPrice is the deployment's price per hour, of which FactorPercent are credited.
	HourlyPrice   Money `json:"hourlyPrice"`
	FactorPercent int   `json:"factorPercent"`
	// Formula is how Amount is computed, in numbers.
	Formula string `json:"formula"`
	Amount  Money  `json:"amount"`
	// Note is the operator's; "" for none.
	Note string `json:"note"`
	// CreditedAt is when Amount was added to the balance; nil before.
	CreditedAt *time.Time `json:"creditedAt"`
}

// ServiceCreditQuery filters service credits. Zero values filter nothing.
type ServiceCreditQuery struct {
	Paging
	// DeploymentID selects the service credits for a deployment.
	DeploymentID string `query:"deploymentId"`
}

// ServiceCredits returns one page of service credits, newest first.
func (s *WalletService) ServiceCredits(
	ctx context.Context, q ServiceCreditQuery, options ...CallOption,
) (*Page[ServiceCredit], error) {
	return list[ServiceCredit](ctx, s.c, request{path: "/wallet/service-credits", query: queryOf(q)}, options)
}

// AllServiceCredits iterates over service credits, newest first.
func (s *WalletService) AllServiceCredits(
	ctx context.Context, q ServiceCreditQuery, options ...CallOption,
) iter.Seq2[ServiceCredit, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[ServiceCredit], error) {
		q.Paging = at
		return s.ServiceCredits(ctx, q, options...)
	}, func(c ServiceCredit) string { return c.ID })
}
