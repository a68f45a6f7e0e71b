package app

import (
	"context"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/servicecredit"
)

// ListServiceCredits returns a page of service credits, newest first.
func (o *Operator) ListServiceCredits(
	ctx context.Context, f servicecredit.Filter, p db.Page,
) ([]servicecredit.OperatorServiceCredit, error) {
	all, _, err := o.services.owed.ListAll(ctx, o.DB, f, p)
	return all, err
}

// ApproveServiceCredit books a proposed service credit, and records it in the account's audit log.
// It is a CONFLICT for one that needs a second operator: who runs the command is not known.
func (o *Operator) ApproveServiceCredit(
	ctx context.Context, of id.ID,
) (c servicecredit.OperatorServiceCredit, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var changed bool
		if c, changed, err = o.services.owed.Approve(ctx, tx, of, servicecredit.Host); err != nil || !changed {
			return err
		}
		return o.record(ctx, tx, c.AccountID, "approveServiceCredit", of)
	})
	return c, err
}

// RejectServiceCredit rejects a proposed service credit, and records it in the audit logs of
// operators. Its account's log has no entry, because the account does not learn of proposals.
func (o *Operator) RejectServiceCredit(
	ctx context.Context, of id.ID, reason string,
) (c servicecredit.OperatorServiceCredit, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var changed bool
		c, changed, err = o.services.owed.Reject(ctx, tx, of, reason, servicecredit.Host)
		if err != nil || !changed {
			return err
		}
		return o.recordForOperators(ctx, tx, "rejectServiceCredit", of, reason)
	})
	return c, err
}

// CreateServiceCredit proposes a service credit, and records it as RejectServiceCredit does. It is
// a CONFLICT above what an operator may add alone.
func (o *Operator) CreateServiceCredit(
	ctx context.Context, n servicecredit.ServiceCreditDraft,
) (c servicecredit.ServiceCreditDetail, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if c, err = o.services.owed.Create(ctx, tx, n, servicecredit.Host); err != nil {
			return err
		}
		return o.recordForOperators(ctx, tx, "createServiceCredit", c.ID, "")
	})
	return c, err
}
