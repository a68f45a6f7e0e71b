package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

// Currency is the currency of every amount.
type Currency string

// USD is the US dollar, the one currency.
const USD Currency = "USD"

// ActiveDeployment is a deployment that costs money now.
type ActiveDeployment struct {
	// ID is dep_…, Name what it is called.
	ID   string `json:"id"`
	Name string `json:"name"`
	// HourlyPrice is what an hour costs, CostToDate what was charged so far, less refunds.
	HourlyPrice Money `json:"hourlyPrice"`
	CostToDate  Money `json:"costToDate"`
}

// BilledVolume is a volume that costs money now.
type BilledVolume struct {
	// ID is vol_…, Name what it is called.
	ID   string `json:"id"`
	Name string `json:"name"`
	// HourlyPrice is what an hour costs.
	HourlyPrice Money `json:"hourlyPrice"`
}

// PastDue is what happens to an account whose available money is below zero, unless that ends.
type PastDue struct {
	// Since is when Available fell below zero.
	Since time.Time `json:"since"`
	// DeploymentsEndAt is when all deployments are terminated, VolumesDeletedAt when all volumes are deleted; in the past once they were.
	DeploymentsEndAt time.Time `json:"deploymentsEndAt"`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt"`
}

// Wallet is the account's money.
type Wallet struct {
	// Currency is of every amount.
	Currency Currency `json:"currency"`
	// Balance is Available plus Held. Held is set aside for the first hour of what does not run yet. Available can be spent; below zero it is a debt.
	Balance   Money `json:"balance"`
	Held      Money `json:"held"`
	Available Money `json:"available"`
	// NegativeSince is since when Available is below zero; nil where it is not.
	NegativeSince *time.Time `json:"negativeSince"`
	// PastDue is what happens when while Available is below zero; nil where it is not.
	PastDue *PastDue `json:"pastDue"`
	// HourlyCost is what everything that runs now costs in an hour; HoursLeft how many hours Available lasts at that, nil while nothing runs.
	HourlyCost Money    `json:"hourlyCost"`
	HoursLeft  *float64 `json:"hoursLeft"`
	// MinimumToDeploy is what must be available to deploy.
	MinimumToDeploy Money `json:"minimumToDeploy"`
	// ActiveDeployments and Volumes are what is paid for now.
	ActiveDeployments []ActiveDeployment `json:"activeDeployments"`
	Volumes           []BilledVolume     `json:"volumes"`
}

// TransactionType is what kind of line of the statement it is.
type TransactionType string

// The kinds of lines.
const (
	// TransactionTopUp is money that was paid in.
	TransactionTopUp TransactionType = "top_up"
	// TransactionCredit is money that the operator gave.
	TransactionCredit TransactionType = "credit"
	// TransactionHold is money set aside.
	TransactionHold TransactionType = "hold"
	// TransactionRelease is money that was set aside and is given back.
	TransactionRelease TransactionType = "release"
	// TransactionCharge is an hour that began.
	TransactionCharge TransactionType = "charge"
	// TransactionRefund is the unused part of an hour.
	TransactionRefund TransactionType = "refund"
	// TransactionAdjustment is a correction by the operator.
	TransactionAdjustment TransactionType = "adjustment"
)

// Transaction is a line of the statement.
type Transaction struct {
	// ID is txn_….
	ID string `json:"id"`
	// Type is what kind of line it is.
	Type TransactionType `json:"type"`
	// Amount changes what is available; negative takes money out.
	Amount Money `json:"amount"`
	// BalanceAfter and AvailableAfter are what there was after the line.
	BalanceAfter   Money `json:"balanceAfter"`
	AvailableAfter Money `json:"availableAfter"`
	// Description says what happened, in words.
	Description string `json:"description"`
	// DeploymentID or VolumeID is what was billed; both are nil for other lines.
	DeploymentID *string `json:"deploymentId"`
	VolumeID     *string `json:"volumeId"`
	// Provider, Region and GPUType are of what was billed; the GPU type is nil for a volume.
	Provider *string `json:"provider"`
	Region   *string `json:"region"`
	GPUType  *string `json:"gpuType"`
	// From, To and HourlyPrice are the interval and the rate of a charge or refund; nil for other lines.
	From        *time.Time `json:"from"`
	To          *time.Time `json:"to"`
	HourlyPrice *Money     `json:"hourlyPrice"`
	// CreatedAt is when the line was written.
	CreatedAt time.Time `json:"createdAt"`
}

// TransactionQuery narrows the statement. Zero values narrow nothing.
type TransactionQuery struct {
	Paging
	// From belongs to the interval, To does not.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
	// Types are one or more kinds of lines.
	Types []TransactionType `query:"type"`
	// DeploymentID and VolumeID are what was billed.
	DeploymentID string `query:"deploymentId"`
	VolumeID     string `query:"volumeId"`
}

// UsageGroup is what costs are summed up by.
type UsageGroup string

// What costs are summed up by.
const (
	// ByDay is a day in UTC.
	ByDay UsageGroup = "day"
	// ByDeployment is a deployment or volume.
	ByDeployment UsageGroup = "deployment"
	// ByGPUType is a GPU type.
	ByGPUType UsageGroup = "gpuType"
	// ByProvider is a provider.
	ByProvider UsageGroup = "provider"
)

// UsageQuery is which costs to sum up.
type UsageQuery struct {
	// From is the beginning, 30 days ago if zero; To the end, now if zero.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
	// GroupBy is ByDay if empty.
	GroupBy UsageGroup `query:"groupBy"`
}

// UsageCost is the cost of one group.
type UsageCost struct {
	// Key is the day (2028-02-29), the id, the GPU type or the provider; empty for hours that have none.
	Key string `json:"key"`
	// Name is what the deployment or volume was called when it was charged; nil for other groups.
	Name *string `json:"name"`
	// Cost is what was charged, less refunds.
	Cost Money `json:"cost"`
}

// Usage is what an interval cost.
type Usage struct {
	// From belongs to the interval, To does not; an hour counts where it began.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// GroupBy is what the groups are.
	GroupBy UsageGroup `json:"groupBy"`
	// Groups are days in their order, or else the dearest first. What cost nothing is left out.
	Groups []UsageCost `json:"groups"`
	// Total is of all groups together.
	Total Money `json:"total"`
}

// WalletService tells about money. Its calls need the scope wallet:read.
type WalletService struct{ c *Client }

// Get returns the balance and what runs now.
func (s *WalletService) Get(ctx context.Context, options ...CallOption) (*Wallet, error) {
	return one[Wallet](ctx, s.c, request{method: http.MethodGet, path: "/wallet"}, options)
}

// Transactions returns one page of the statement, newest first.
func (s *WalletService) Transactions(ctx context.Context, q TransactionQuery, options ...CallOption) (*Page[Transaction], error) {
	return list[Transaction](ctx, s.c, request{path: "/wallet/transactions", query: queryOf(q)}, options)
}

// AllTransactions walks the statement, newest first.
func (s *WalletService) AllTransactions(ctx context.Context, q TransactionQuery, options ...CallOption) iter.Seq2[Transaction, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Transaction], error) {
		q.Paging = at
		return s.Transactions(ctx, q, options...)
	}, func(t Transaction) string { return t.ID })
}

// TransactionsCSV returns the whole statement as a table, newest first; the query's paging is left out. It is read while it arrives: the
// caller closes it, and an error while reading means that it is cut short.
func (s *WalletService) TransactionsCSV(ctx context.Context, q TransactionQuery, options ...CallOption) (io.ReadCloser, error) {
	q.Paging = Paging{}
	query := queryOf(q)
	query.Set("format", "csv")
	return s.c.answer(ctx, request{method: http.MethodGet, path: "/wallet/transactions", query: query, accept: "text/csv", endless: true}, options)
}

// Usage sums up what was charged, less refunds.
func (s *WalletService) Usage(ctx context.Context, q UsageQuery, options ...CallOption) (*Usage, error) {
	return one[Usage](ctx, s.c, request{method: http.MethodGet, path: "/wallet/usage", query: queryOf(q)}, options)
}
