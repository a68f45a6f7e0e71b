package wallet

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Transaction is a line of the statement.
type Transaction struct {
	ID   id.ID `json:"id" doc:"Id of the line, txn_…."`
	Type Type  `json:"type" doc:"What kind of line it is."`
	// Amount is what the line does to the available money: negative takes money out.
	Amount money.Micros `json:"amount" doc:"US dollars by which the line changes the available money; negative takes money out."`
	// BalanceAfter is the balance after the line; holds and releases leave it as it is.
	BalanceAfter money.Micros `json:"balanceAfter" doc:"US dollars of balance after the line; holds and releases leave it as it is."`
	// AvailableAfter is the available money after the line, the sum of all amounts up to it.
	AvailableAfter money.Micros `json:"availableAfter" doc:"US dollars available after the line: the sum of all amounts up to it."`
	Description    string       `json:"description" doc:"What happened, in words."`
	// DeploymentID or VolumeID is what was billed.
	DeploymentID *id.ID `json:"deploymentId" doc:"The deployment that was billed; null for other lines."`
	VolumeID     *id.ID `json:"volumeId" doc:"The volume that was billed; null for other lines."`
	// From and To are the interval that a charge or a refund is for, and HourlyPrice its rate.
	From        *time.Time    `json:"from" doc:"Beginning of the interval that a charge or refund is for; null for other lines."`
	To          *time.Time    `json:"to" doc:"End of that interval."`
	HourlyPrice *money.Micros `json:"hourlyPrice" doc:"Rate of a charge or refund in US dollars an hour; null for other lines."`
	Provider    *string       `json:"provider" doc:"Slug of the provider of what was billed."`
	Region      *string       `json:"region" doc:"Slug of the region of what was billed."`
	GPUType     *string       `json:"gpuType" doc:"GPU type of what was billed; null for a volume."`
	CreatedAt   time.Time     `json:"createdAt" doc:"When the line was written."`

	seq int64
}

// Filter says which lines of a statement are wanted. A zero field does not filter.
type Filter struct {
	// Types wants lines of any of these kinds.
	Types []Type
	// Subject wants lines of this deployment or volume.
	Subject id.ID
	// From and To want lines made at or after From and before To.
	From, To time.Time
}

// Transactions returns a page of the account's statement, newest first.
func (l *Ledger) Transactions(ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page) ([]Transaction, db.Listed, error) {
	return f.listed(account).Page(ctx, r, p)
}

// exportChunk is how many lines one query of Export reads.
const exportChunk = 1000

// Export calls each with every line that the filter lets through, newest first, until it returns an
// error, which Export returns. It reads in chunks and holds no query open while each
// runs, so a slow reader holds nobody up. Lines are never changed: those written meanwhile are newer than the first and left out.
func (l *Ledger) Export(ctx context.Context, r db.Reader, account id.ID, f Filter, each func(Transaction) error) error {
	list, p := f.listed(account), db.Page{Number: 1, Limit: exportChunk}
	for {
		chunk, of, err := list.Page(ctx, r, p)
		if err != nil {
			return err
		}
		for _, t := range chunk {
			if err := each(t); err != nil {
				return err
			}
		}
		if of.Next == nil {
			return nil
		}
		p.After = of.Next
	}
}

// GroupBy says what usage is grouped by.
type GroupBy string

// What usage can be grouped by.
const (
	ByDay        GroupBy = "day"        // of the calendar in UTC
	ByDeployment GroupBy = "deployment" // or volume: whatever was billed
	ByGPUType    GroupBy = "gpuType"
	ByProvider   GroupBy = "provider"
	ByAccount    GroupBy = "account" // for the operator alone
)

// Usage is what an account's hours have cost, net of refunds.
type Usage struct {
	From    time.Time    `json:"from" doc:"Hours that began at this instant or later."`
	To      time.Time    `json:"to" doc:"Hours that began before this instant."`
	GroupBy GroupBy      `json:"groupBy" doc:"What the groups are."`
	Total   money.Micros `json:"total" doc:"US dollars of all groups together."`
	Groups  []UsageGroup `json:"groups" doc:"Days in their order; other groups dearest first. What cost nothing is left out."`
}

// UsageGroup is one group's share of a Usage.
type UsageGroup struct {
	// Key is the day ("2028-02-29"), the id, the GPU type or the provider; "" for hours that have none, such as a volume's GPU type.
	Key string `json:"key" doc:"The day in UTC (2028-02-29), the id, the GPU type or the provider; empty for hours that have none, such as a volume without GPUs."`
	// Name is what the subject was called when it was charged; nil unless grouped by deployment.
	Name *string `json:"name" doc:"What the deployment or volume was called when it was charged; null for other groups."`
	// Cost is charges less refunds.
	Cost money.Micros `json:"cost" doc:"US dollars charged, less refunds."`
}

// Usage returns what the hours that began at or after from and before to have cost, net of their
// refunds whenever these were made. Groups by day come in the order of days, and days without
// an hour are left out; other groups come dearest first.
func (l *Ledger) Usage(ctx context.Context, r db.Reader, account id.ID, from, to time.Time, by GroupBy) (Usage, error) {
	key, known := usageKeys[by]
	if !known {
		return Usage{}, fmt.Errorf("wallet: usage cannot be grouped by %q", by)
	}
	u := Usage{From: from.UTC(), To: to.UTC(), GroupBy: by}
	var err error
	if u.Groups, err = selectUsage(ctx, r, account, from, to, by, key); err != nil {
		return Usage{}, err
	}
	for _, g := range u.Groups {
		u.Total += g.Cost
	}
	return u, nil
}

// Revenue returns, by key, what the hours of all accounts that began at or after from and before to have earned, net of their
// refunds whenever these were made. It is for the operator.
func (l *Ledger) Revenue(ctx context.Context, r db.Reader, from, to time.Time, by GroupBy) (map[string]money.Micros, error) {
	key, known := revenueKeys[by]
	if !known {
		return nil, fmt.Errorf("wallet: revenue cannot be grouped by %q", by)
	}
	return selectRevenue(ctx, r, from, to, by, key)
}

// Day is the day, "2028-02-29", that the text counts from 1970 in UTC.
func Day(count string) string {
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		panic("wallet: " + count + " counts no days")
	}
	return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
}

// GetAll returns the wallets of the accounts, with one query. It is for the operator.
func (l *Ledger) GetAll(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Wallet, error) {
	if len(accounts) == 0 {
		return map[id.ID]Wallet{}, nil
	}
	return selectWallets(ctx, r, accounts)
}

// Audit checks the books against one another, all of them at one instant, and returns what disagrees,
// in words; nothing when all is well. It reads every entry.
func (l *Ledger) Audit(ctx context.Context) (faults []string, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		faults, err = auditIn(ctx, tx)
		return err
	})
	return faults, err
}

func auditIn(ctx context.Context, r db.Reader) (faults []string, err error) {
	for _, check := range audits {
		found, err := selectText(ctx, r, check.query)
		if err != nil {
			return nil, err
		}
		for _, what := range found {
			faults = append(faults, check.fault+": "+what)
		}
	}
	return faults, nil
}
