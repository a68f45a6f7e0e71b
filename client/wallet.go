package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

// Currency is a currency.
type Currency string

// USD is the US dollar, the only currency.
const USD Currency = "USD"

// ActiveDeployment is a deployment that is being billed.
type ActiveDeployment struct {
	// ID has the form dep_….
	ID   string `json:"id"`
	Name string `json:"name"`
	// HourlyPrice is the price per hour, CostToDate the total cost, net of refunds.
	HourlyPrice Money `json:"hourlyPrice"`
	CostToDate  Money `json:"costToDate"`
}

// BilledVolume is a volume that is being billed.
type BilledVolume struct {
	// ID has the form vol_….
	ID   string `json:"id"`
	Name string `json:"name"`
	// HourlyPrice is the price per hour.
	HourlyPrice Money `json:"hourlyPrice"`
}

// LowBalance is the schedule for an account whose runway is 24 hours or less.
type LowBalance struct {
	// DeploymentsEndAt is when all deployments are terminated, VolumesDeletedAt when all volumes
	// are deleted, unless funds are added.
	DeploymentsEndAt time.Time `json:"deploymentsEndAt"`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt"`
}

// PastDue is the schedule for an account with a negative available balance.
type PastDue struct {
	// Since is when Available became negative.
	Since time.Time `json:"since"`
	// DeploymentsEndAt is when all deployments are terminated, VolumesDeletedAt when all volumes
	// are deleted, unless funds are added.
	DeploymentsEndAt time.Time `json:"deploymentsEndAt"`
	VolumesDeletedAt time.Time `json:"volumesDeletedAt"`
}

// WalletForecast is what is to be charged until the end of the month.
type WalletForecast struct {
	// Until is the end of the current month in UTC.
	Until time.Time `json:"until"`
	// Charges is for the hours that begin from now until then: everything that runs now, until its
	// known end.
	Charges Money `json:"charges"`
	// Days divides Charges by the day in UTC on which the hours begin, from today on.
	Days []ForecastDay `json:"days"`
}

// ForecastDay is what is to be charged for the hours that begin on a day.
type ForecastDay struct {
	// Day is a day in UTC, such as 2028-02-29.
	Day     string `json:"day"`
	Charges Money  `json:"charges"`
}

// Wallet is the account's balance and hourly spend.
type Wallet struct {
	// Currency is the currency of every amount.
	Currency Currency `json:"currency"`
	// Balance is Available plus Held. Held is on hold for the first hour of pending deployments.
	// Available can be spent; it is past due if negative.
	Balance   Money `json:"balance"`
	Held      Money `json:"held"`
	Available Money `json:"available"`
	// ExpiringCredits is the part of Available that is left of credits which expire. It is spent
	// first. NextCreditExpiresAt is when the first of them expires; nil if there is none.
	ExpiringCredits     Money      `json:"expiringCredits"`
	NextCreditExpiresAt *time.Time `json:"nextCreditExpiresAt"`
	// NegativeSince is when Available became negative; nil if it is not.
	NegativeSince *time.Time `json:"negativeSince"`
	// PastDue is the schedule while Available is negative; nil if it is not.
	PastDue *PastDue `json:"pastDue"`
	// HourlyCost is the current hourly spend; HoursLeft is the runway in hours at that rate, nil
	// while nothing is billed.
	HourlyCost Money    `json:"hourlyCost"`
	HoursLeft  *float64 `json:"hoursLeft"`
	// RunsDryAt is the first charge that Available does not cover, if nothing changes; nil while
	// nothing is billed, and while the account is past due.
	RunsDryAt *time.Time `json:"runsDryAt"`
	// LowBalance is the schedule while the runway is 24 hours or less; nil otherwise.
	LowBalance *LowBalance `json:"lowBalance"`
	// MinimumToDeploy is the available balance required to deploy.
	MinimumToDeploy Money `json:"minimumToDeploy"`
	// Forecast is what the rest of the month will cost, if nothing changes.
	Forecast WalletForecast `json:"forecast"`
	// ActiveDeployments and Volumes are what is being billed.
	ActiveDeployments []ActiveDeployment `json:"activeDeployments"`
	Volumes           []BilledVolume     `json:"volumes"`
}

// TransactionType is the type of a transaction.
type TransactionType string

// The types of transactions.
const (
	// TransactionTopUp is a payment.
	TransactionTopUp TransactionType = "top_up"
	// TransactionCredit is a credit from the operator.
	TransactionCredit TransactionType = "credit"
	// TransactionHold places a hold.
	TransactionHold TransactionType = "hold"
	// TransactionRelease releases a hold.
	TransactionRelease TransactionType = "release"
	// TransactionCharge is the charge for an hour that started.
	TransactionCharge TransactionType = "charge"
	// TransactionRefund refunds the unused part of an hour.
	TransactionRefund TransactionType = "refund"
	// TransactionAdjustment is a correction by the operator.
	TransactionAdjustment TransactionType = "adjustment"
)

// Transaction is an entry of the ledger.
type Transaction struct {
	// ID has the form txn_….
	ID string `json:"id"`
	// Type is the type of transaction.
	Type TransactionType `json:"type"`
	// Amount is the change of the available balance; negative for debits.
	Amount Money `json:"amount"`
	// BalanceAfter and AvailableAfter are the balances after the transaction.
	BalanceAfter   Money `json:"balanceAfter"`
	AvailableAfter Money `json:"availableAfter"`
	// Description is the text for users.
	Description string `json:"description"`
	// DeploymentID or VolumeID is the billed resource; nil for other transactions.
	DeploymentID *string `json:"deploymentId"`
	VolumeID     *string `json:"volumeId"`
	// Provider, Region and GPUType are those of the billed resource; GPUType is nil for a volume.
	Provider *string `json:"provider"`
	Region   *string `json:"region"`
	GPUType  *string `json:"gpuType"`
	// From, To and HourlyPrice are the period and the price of a charge or refund; nil for other
	// transactions.
	From        *time.Time `json:"from"`
	To          *time.Time `json:"to"`
	HourlyPrice *Money     `json:"hourlyPrice"`
	// CreatedAt is the time of the transaction.
	CreatedAt time.Time `json:"createdAt"`
}

// TransactionQuery filters transactions. Zero values filter nothing.
type TransactionQuery struct {
	Paging
	// From is inclusive, To exclusive.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
	// Types are the accepted types.
	Types []TransactionType `query:"type"`
	// DeploymentID and VolumeID are the billed resource.
	DeploymentID string `query:"deploymentId"`
	VolumeID     string `query:"volumeId"`
}

// UsageGroup is a grouping of costs.
type UsageGroup string

// The groupings of costs.
const (
	// ByDay groups by day in UTC.
	ByDay UsageGroup = "day"
	// ByDeployment groups by deployment or volume.
	ByDeployment UsageGroup = "deployment"
	// ByGPUType groups by GPU type.
	ByGPUType UsageGroup = "gpuType"
	// ByProvider groups by provider.
	ByProvider UsageGroup = "provider"
	// ByTag groups by tag. A deployment with several tags is in several groups.
	ByTag UsageGroup = "tag"
	// ByMember and ByAPIKey group by the user or API key that created the deployment or volume.
	ByMember UsageGroup = "member"
	ByAPIKey UsageGroup = "apiKey"
	// ByProject groups by project.
	ByProject UsageGroup = "project"
)

// UsageQuery selects costs.
type UsageQuery struct {
	// From is the start; zero means 30 days ago. To is the end; zero means now.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
	// GroupBy is the grouping; "" means ByDay.
	GroupBy UsageGroup `query:"groupBy"`
	// TagKey groups ByTag by those tags only that begin with it and ":" or "=".
	TagKey string `query:"tagKey"`
	// Daily also divides groups by day, for at most 93 days. It does not apply to ByDay and
	// ByDeployment, and to ByTag only with TagKey.
	Daily bool `query:"daily"`
}

// FOCUSVersion is a version of FOCUS, the FinOps Open Cost and Usage Specification.
type FOCUSVersion string

// The versions of FOCUS.
const (
	FOCUS12 FOCUSVersion = "1.2"
	FOCUS14 FOCUSVersion = "1.4"
)

// FOCUSQuery selects costs for an export in the format of FOCUS.
type FOCUSQuery struct {
	// From is the start; zero means 30 days ago. To is the end; zero means now. They select rows by
	// the start of their charge period.
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
	// Version is the version; "" means FOCUS12.
	Version FOCUSVersion `query:"version"`
	// JSONLines writes an object in each line; otherwise it is CSV.
	JSONLines bool `query:"-"`
}

// UsageCost is the cost of a group.
type UsageCost struct {
	// Key is the day (2028-02-29), id, GPU type, provider, tag or project; empty for costs without
	// one.
	Key string `json:"key"`
	// Name is the name of the deployment, volume, member or API key; nil for other groups.
	Name *string `json:"name"`
	// Cost is the charges net of refunds.
	Cost Money `json:"cost"`
}

// Usage is the costs of a period.
type Usage struct {
	// From is inclusive, To exclusive. An hour counts when it starts.
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// GroupBy is the grouping.
	GroupBy UsageGroup `json:"groupBy"`
	// Groups are days in order, or other groups by descending cost. Groups without costs are
	// omitted.
	Groups []UsageCost `json:"groups"`
	// Total is the sum of all groups.
	Total Money `json:"total"`
	// Days is the cost of each group on each day, in the order of days and then of Groups. Empty
	// unless the query is Daily.
	Days []UsageDay `json:"days"`
}

// UsageDay is the cost of a group on a day.
type UsageDay struct {
	// Day is the day in UTC (2028-02-29) on which the hours began.
	Day string `json:"day"`
	// Key is the key of the group.
	Key string `json:"key"`
	// Cost is the charges net of refunds.
	Cost Money `json:"cost"`
}

// WalletService reads the balance, transactions and costs. Its calls need the scope wallet:read.
type WalletService struct{ c *Client }

// Get returns the balance and what is being billed.
func (s *WalletService) Get(ctx context.Context, options ...CallOption) (*Wallet, error) {
	return one[Wallet](ctx, s.c, request{method: http.MethodGet, path: "/wallet"}, options)
}

// Transactions returns one page of transactions, newest first.
func (s *WalletService) Transactions(
	ctx context.Context,
	q TransactionQuery,
	options ...CallOption,
) (*Page[Transaction], error) {
	return list[Transaction](ctx, s.c, request{path: "/wallet/transactions", query: queryOf(q)}, options)
}

// AllTransactions iterates over transactions, newest first.
func (s *WalletService) AllTransactions(
	ctx context.Context,
	q TransactionQuery,
	options ...CallOption,
) iter.Seq2[Transaction, error] {
	return all(ctx, q.Paging, func(ctx context.Context, at Paging) (*Page[Transaction], error) {
		q.Paging = at
		return s.Transactions(ctx, q, options...)
	}, func(t Transaction) string { return t.ID })
}

// TransactionsCSV streams all transactions as CSV, newest first, ignoring the query's paging. The
// caller must close it. An error while reading means that the data is incomplete.
func (s *WalletService) TransactionsCSV(
	ctx context.Context,
	q TransactionQuery,
	options ...CallOption,
) (io.ReadCloser, error) {
	q.Paging = Paging{}
	query := queryOf(q)
	query.Set("format", "csv")
	return s.c.send(ctx, request{
		method: http.MethodGet, path: "/wallet/transactions", query: query, accept: "text/csv", streaming: true,
	}, options)
}

// FOCUS streams a row for each hour in the format of FOCUS, for cost tools. The caller must close
// it. An error while reading means that the data is incomplete.
func (s *WalletService) FOCUS(ctx context.Context, q FOCUSQuery, options ...CallOption) (io.ReadCloser, error) {
	format, accept := "focus", "text/csv"
	if q.JSONLines {
		format, accept = "focus-jsonl", "application/jsonl"
	}
	q.JSONLines = false // it is the format, and no parameter of its own
	query := queryOf(q)
	query.Set("format", format)
	return s.c.send(ctx, request{
		method: http.MethodGet, path: "/wallet/usage", query: query, accept: accept, streaming: true,
	}, options)
}

// Usage returns costs: charges net of refunds.
func (s *WalletService) Usage(ctx context.Context, q UsageQuery, options ...CallOption) (*Usage, error) {
	return one[Usage](ctx, s.c, request{method: http.MethodGet, path: "/wallet/usage", query: queryOf(q)}, options)
}
