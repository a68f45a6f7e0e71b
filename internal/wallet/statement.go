package wallet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
)

// Transaction is one entry of an account's statement.
type Transaction struct {
	ID             id.ID        `json:"id" doc:"Transaction ID, txn_…."`
	Type           Type         `json:"type" doc:"Transaction type."`
	Amount         money.Micros `json:"amount" doc:"Change of the available balance in US dollars; negative for money taken out."`
	BalanceAfter   money.Micros `json:"balanceAfter" doc:"Balance after the transaction in US dollars. Holds and releases do not change it."`
	AvailableAfter money.Micros `json:"availableAfter" doc:"Available balance after the transaction in US dollars: the sum of all amounts so far."`
	Description    string       `json:"description" doc:"Description of the transaction."`
	DeploymentID   *id.ID       `json:"deploymentId" doc:"Billed deployment; null for other transactions."`
	VolumeID       *id.ID       `json:"volumeId" doc:"Billed volume; null for other transactions."`
	From           *time.Time   `json:"from" doc:"Start of the billed interval of a charge or refund; null for other transactions."`
	To             *time.Time   `json:"to" doc:"End of the billed interval."`

	HourlyPrice *money.Micros `json:"hourlyPrice" doc:"Hourly rate of a charge or refund in US dollars; null for other transactions."`
	Provider    *string       `json:"provider" doc:"Provider slug of the billed resource."`
	Region      *string       `json:"region" doc:"Region slug of the billed resource."`
	GPUType     *string       `json:"gpuType" doc:"GPU type of the billed deployment; null for a volume."`
	CreatedAt   time.Time     `json:"createdAt" doc:"Time of the transaction."`
}

// transaction returns the line as a tenant reads it.
func (n *line) transaction() Transaction {
	t := Transaction{
		ID: n.id, Type: n.kind, Amount: n.amount, BalanceAfter: n.balanceAfter, AvailableAfter: n.availableAfter,
		Description: n.description, From: n.from, To: n.to, HourlyPrice: n.hourlyPrice,
		Provider: nonEmpty(n.labels.Provider),
		Region:   nonEmpty(n.labels.Region), GPUType: nonEmpty(n.labels.GPUType), CreatedAt: n.createdAt,
	}
	switch n.subject.Kind() {
	case id.Deployment:
		t.DeploymentID = &n.subject
	case id.Volume:
		t.VolumeID = &n.subject
	}
	return t
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Filter selects transactions of a statement. A zero field does not filter.
type Filter struct {
	// Types selects transactions of any of these types.
	Types []Type
	// Subject selects transactions of this deployment or volume.
	Subject id.ID
	// From and To select transactions made at or after From and before To.
	From, To time.Time
}

// Transactions returns a page of the account's statement, newest first.
func (l *Ledger) Transactions(
	ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page,
) ([]Transaction, db.Listed, error) {
	return f.list(account).Page(ctx, r, p)
}

// exportChunk is how many transactions one query of Export reads.
const exportChunk = 1000

// Export calls each with every transaction that matches the filter, newest first, until each
// returns an error, which Export returns. It reads in chunks and keeps no query open while each
// runs, so a slow reader blocks nothing. Transactions never change; those written meanwhile are
// newer than the first and left out.
func (l *Ledger) Export(ctx context.Context, r db.Reader, account id.ID, f Filter, each func(Transaction) error) error {
	list, p := f.list(account), db.Page{Number: 1, Limit: exportChunk}
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

// GroupBy is a key that usage is grouped by.
type GroupBy string

// The keys that usage can be grouped by.
const (
	ByDay        GroupBy = "day"        // of the calendar in UTC
	ByDeployment GroupBy = "deployment" // or volume
	ByGPUType    GroupBy = "gpuType"
	ByProvider   GroupBy = "provider"
	ByTag        GroupBy = "tag"     // a deployment with several tags counts for each
	ByProject    GroupBy = "project" // of the deployment or volume now
	ByMember     GroupBy = "member"  // the creator, where that is a user
	ByAPIKey     GroupBy = "apiKey"  // the creator, where that is an API key
	ByAccount    GroupBy = "account" // for the operator only
)

// Enum lists the groups that a tenant can ask for.
func (GroupBy) Enum() []GroupBy {
	return []GroupBy{ByDay, ByDeployment, ByGPUType, ByProvider, ByTag, ByMember, ByAPIKey, ByProject}
}

// Usage is the cost of an account's hours, net of refunds.
type Usage struct {
	From    time.Time    `json:"from" doc:"Start of the interval: hours that began at this time or later."`
	To      time.Time    `json:"to" doc:"End of the interval: hours that began before this time."`
	GroupBy GroupBy      `json:"groupBy" doc:"Grouping key."`
	Total   money.Micros `json:"total" doc:"Sum of all groups in US dollars. By tag, a deployment with several tags is in several groups, and counts once here."`
	Groups  []UsageGroup `json:"groups" doc:"Groups: days in order, others by cost, highest first. Groups without cost are left out."`
	Days    []UsageDay   `json:"days" doc:"Cost of each group on each day, in the order of days and then of groups. Their sum is total. Empty without daily=true."`
}

// UsageDay is what a group cost on a day.
type UsageDay struct {
	Day  string       `json:"day" doc:"Day in UTC (2028-02-29) on which the hours began."`
	Key  string       `json:"key" doc:"Key of the group."`
	Cost money.Micros `json:"cost" doc:"Charges less refunds in US dollars."`
}

// UsageQuery selects usage of the hours that began at or after From and before To.
type UsageQuery struct {
	From, To time.Time
	By       GroupBy
	// TagKey divides by those tags only that begin with it and ":" or "=", if By is ByTag. A
	// subject with several of them counts for the first by the alphabet.
	TagKey string
	// Daily also divides each group by day. By is neither ByDay nor, without a TagKey, ByTag.
	Daily bool
}

// UsageGroup is one group's share of a Usage.
type UsageGroup struct {
	Key  string       `json:"key" doc:"Day in UTC (2028-02-29), ID, GPU type, provider, tag or project; empty for hours without one, such as the GPU type of a volume."`
	Name *string      `json:"name" doc:"Name of the deployment or volume when it was charged, or of the member or API key when it created them; null for other groups."`
	Cost money.Micros `json:"cost" doc:"Charges less refunds in US dollars."`
}

// Usage returns the cost of the hours that the query selects, net of their refunds, whenever these
// were made. Groups by day are in the order of days, and days without an hour are left out. Other
// groups are in the order of cost, highest first.
func (l *Ledger) Usage(ctx context.Context, r db.Reader, account id.ID, q UsageQuery) (Usage, error) {
	if usageKeys[q.By] == "" {
		return Usage{}, fmt.Errorf("wallet: usage cannot be grouped by %q", q.By)
	}
	u := Usage{From: q.From.UTC(), To: q.To.UTC(), GroupBy: q.By, Days: []UsageDay{}}
	rows, err := selectUsage(ctx, r, account, q)
	if err != nil {
		return Usage{}, err
	}
	for _, row := range rows {
		u.Total += row.Cost
	}
	if q.By == ByTag {
		if rows, err = divideTags(rows, q.TagKey); err != nil {
			return Usage{}, err
		}
	}
	u.Groups = addGroups(rows, q.By)
	if q.Daily {
		u.Days = addDaily(rows, u.Groups)
	}
	return u, nil
}

// Revenue returns, by key, what all accounts' hours earned from an instant to another, and not
// after now, net of refunds whenever these were made. An hour is earned by the second: rate ×
// started seconds / 3600, rounded half-up, but never more than is not refunded. When its subject
// stops, all of it is. It is for the operator.
func (l *Ledger) Revenue(
	ctx context.Context, r db.Reader, from, to, now time.Time, by GroupBy,
) (map[string]money.Micros, error) {
	key, known := revenueKeys[by]
	if !known {
		return nil, fmt.Errorf("wallet: revenue cannot be grouped by %q", by)
	}
	if now.Before(to) {
		to = now
	}
	if !from.Before(to) {
		return map[string]money.Micros{}, nil
	}
	earned, err := selectBegun(ctx, r, from, to, by, key)
	if err != nil {
		return nil, err
	}
	cuts := []int64{from.UnixMicro(), to.UnixMicro()}
	if by == ByDay {
		cuts = midnights(cuts[0], cuts[1])
	}
	// What an hour that a cut divides earns after it counts after it, and not before it.
	unearned, err := selectUnearned(ctx, r, cuts, key)
	if err != nil {
		return nil, err
	}
	for _, u := range unearned {
		before, after := u.key, u.key
		if by == ByDay {
			before, after = dayOf(u.at-1), dayOf(u.at)
		}
		if u.at != cuts[0] {
			earned[before] -= u.amount
		}
		if u.at != cuts[len(cuts)-1] {
			earned[after] += u.amount
		}
	}
	return earned, nil
}

// midnights returns both ends and the midnights in UTC between them.
func midnights(from, to int64) []int64 {
	cuts := []int64{from}
	for day := (from/dayMicros + 1) * dayMicros; day < to; day += dayMicros {
		cuts = append(cuts, day)
	}
	return append(cuts, to)
}

func dayOf(micros int64) string { return Day(strconv.FormatInt(micros/dayMicros, 10)) }

// Day returns the date in UTC, "2028-02-29", of a number of days since 1970.
func Day(days string) string {
	n, err := strconv.ParseInt(days, 10, 64)
	if err != nil {
		panic("wallet: " + days + " is not a number of days")
	}
	return time.Unix(n*86400, 0).UTC().Format(time.DateOnly)
}

// GetAll returns the wallets of the accounts by one query. It is for the operator.
func (l *Ledger) GetAll(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Wallet, error) {
	if len(accounts) == 0 {
		return map[id.ID]Wallet{}, nil
	}
	return selectWallets(ctx, r, accounts)
}

// GetMany returns the wallets of any number of accounts. It is for the server.
func (l *Ledger) GetMany(ctx context.Context, r db.Reader, accounts []id.ID) (map[id.ID]Wallet, error) {
	out := make(map[id.ID]Wallet, len(accounts))
	for chunk := range slices.Chunk(accounts, walletChunk) {
		some, err := selectWallets(ctx, r, chunk)
		if err != nil {
			return nil, err
		}
		maps.Copy(out, some)
	}
	return out, nil
}

// walletChunk is how many wallets one query names.
const walletChunk = 100

// Audit checks all books against one another at one instant. It returns a description of each
// disagreement, and none where the books agree. It reads every entry.
func (l *Ledger) Audit(ctx context.Context) (problems []string, err error) {
	err = l.db.View(ctx, func(ctx context.Context, tx *db.Tx) error {
		problems, err = auditIn(ctx, tx)
		return err
	})
	return problems, err
}

func auditIn(ctx context.Context, r db.Reader) (problems []string, err error) {
	for _, check := range audits {
		found, err := db.Collect(ctx, r, db.Value[string], check.query)
		if err != nil {
			return nil, err
		}
		for _, subject := range found {
			problems = append(problems, check.problem+": "+subject)
		}
	}
	return problems, nil
}
