package wallet

import (
	"context"
	"strconv"

	"github.com/billetcloud/billet/internal/creator"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Subject is what the usage of a subject is grouped by beside the labels of its charges. It may
// change, and then counts for what was charged before, too.
type Subject struct {
	ID, Account id.ID
	Project     string
	Tags        []string
	CreatedBy   creator.Creator
}

var subjects = db.NewTable("wallet_subject", func(s *Subject) []db.Column {
	return []db.Column{
		db.Col("subject", &s.ID), db.Col("account_id", &s.Account), db.Col("project", &s.Project),
		db.Col("tags", db.JSON(&s.Tags)), db.Col("creator_type", &s.CreatedBy.Type),
		db.Col("creator_id", &s.CreatedBy.ID), db.Col("creator_name", &s.CreatedBy.Name),
	}
})

// Describe writes what the usage of subjects is grouped by. Those that were described before take
// what they spent along, and their wallets are locked for it.
func (l *Ledger) Describe(ctx context.Context, tx *db.Tx, all ...Subject) error {
	ids, accounts := make([]id.ID, len(all)), make([]id.ID, len(all))
	for i, s := range all {
		ids[i], accounts[i] = s.ID, s.Account
	}
	before, err := readSpent(ctx, tx, ids)
	if err != nil {
		return err
	}
	if len(before) > 0 {
		if err := lockAccounts(ctx, tx, accounts); err != nil {
			return err
		}
		if before, err = readSpent(ctx, tx, ids); err != nil { // what was charged until the lock
			return err
		}
	}
	if err := subjects.Put(ctx, tx, []string{"subject"}, all...); err != nil {
		return err
	}
	return moveSpent(ctx, tx, before, all)
}

// creatorTypes are the types of creators that usage is grouped by.
var creatorTypes = map[GroupBy]string{ByMember: string(creator.Member), ByAPIKey: string(creator.APIKey)}

// withSubjects adds what Describe wrote to a query for hours by subject. typeArg is the number of
// the argument that is the type of creator to group by; one of another type counts as none.
func withSubjects(hours string, typeArg int) string {
	ofType := `CASE WHEN s.creator_type = $` + strconv.Itoa(typeArg) + ` THEN `
	return `SELECT h.cost, h.day, COALESCE(s.tags, '') AS tags, COALESCE(s.project, '') AS project,
		` + ofType + `s.creator_id ELSE '' END AS creator_id, ` + ofType + `s.creator_name ELSE '' END AS name
		FROM (` + hours + `) AS h LEFT JOIN wallet_subject AS s ON s.subject = h.subject`
}
