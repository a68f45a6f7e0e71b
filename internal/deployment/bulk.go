package deployment

import (
	"context"
	"errors"
	"slices"
	"time"

	accounts "github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/crashpoint"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// MaxBulk is the most deployments of one bulk action.
const MaxBulk = 500

// BulkAction is what a bulk action does with each deployment.
type BulkAction string

// The bulk actions.
const (
	BulkTerminate        BulkAction = "terminate"
	BulkAddTags          BulkAction = "addTags"
	BulkRemoveTags       BulkAction = "removeTags"
	BulkSetAutoTerminate BulkAction = "setAutoTerminate"
)

// Enum lists every bulk action.
func (BulkAction) Enum() []BulkAction {
	return []BulkAction{BulkTerminate, BulkAddTags, BulkRemoveTags, BulkSetAutoTerminate}
}

// BulkRequest asks for one action on many deployments: those with the ids, or those that match the
// filter.
type BulkRequest struct {
	// Key is the API key whose spending limits count; "" for a user.
	Key    id.ID
	Action BulkAction
	IDs    []id.ID
	Filter *Filter
	// Within is the only project whose deployments there are; "" for all.
	Within string
	// Earliest queues terminations that come too early.
	Earliest bool
	// Tags are those to add or remove.
	Tags []string
	// AutoTerminateAt is nil to cancel auto-termination.
	AutoTerminateAt *time.Time
	// DryRun reports what would be done, and does nothing.
	DryRun bool
}

// BulkResult is what a bulk action did with one deployment.
type BulkResult struct {
	ID   id.ID  `json:"id" doc:"Id of the deployment."`
	Name string `json:"name" doc:"Name of the deployment; empty if there is none with this id."`
	OK   bool   `json:"ok" doc:"Whether the action was done, or had been done before."`
	// Queued reports that the end comes when the minimum runtime has passed.
	Queued  bool         `json:"queued" doc:"true for a termination that is scheduled for the end of the minimum runtime."`
	Refund  money.Micros `json:"refund" doc:"US dollars of the paid hour that the termination refunds."`
	Release money.Micros `json:"release" doc:"US dollars on hold that the termination releases."`
	Error   *BulkError   `json:"error" doc:"Why nothing was done; null if ok."`

	changed bool
}

// BulkError is why nothing was done with a deployment.
type BulkError struct {
	Code    apierr.Code    `json:"code" doc:"Stable error code, as for the single operation."`
	Message string         `json:"message" doc:"What is wrong and what to do, as text."`
	Details map[string]any `json:"details,omitempty" doc:"Facts by name."`
}

// Bulk does one action with each of up to MaxBulk deployments, in the caller's transaction. What is
// refused for one deployment does not keep it from the others: each has a result, in the order of
// the ids, or else newest first. It also returns which it changed. It returns INVALID_REQUEST where
// the filter matches more than MaxBulk.
func (s *Service) Bulk(
	ctx context.Context, tx *db.Tx, account id.ID, req BulkRequest,
) (results []BulkResult, changed []id.ID, err error) {
	f := &fieldErrors{}
	if tags := checkTags(f, req.Tags); len(tags) == 0 && (req.Action == BulkAddTags || req.Action == BulkRemoveTags) {
		f.add("tags", "must have at least one tag.")
	}
	if err := f.err(); err != nil {
		return nil, nil, err
	}
	if req.Action == BulkSetAutoTerminate && !req.DryRun {
		// A suspended account does not put off the ends that came with the suspension.
		if err := accounts.Enter(ctx, tx, account); err != nil {
			return nil, nil, err
		}
	}
	rows, err := s.bulkRows(ctx, tx, account, &req)
	if err != nil {
		return nil, nil, err
	}
	byID := map[id.ID]*BulkResult{}
	for i := range rows {
		byID[rows[i].id] = &BulkResult{ID: rows[i].id, Name: rows[i].name}
	}
	switch req.Action {
	case BulkTerminate:
		err = s.bulkTerminate(ctx, tx, rows, req, byID)
	case BulkAddTags, BulkRemoveTags:
		err = s.bulkTag(ctx, tx, rows, req, byID)
	case BulkSetAutoTerminate:
		err = s.bulkAutoTerminate(ctx, tx, rows, req, byID)
	}
	if err != nil {
		return nil, nil, err
	}
	results = make([]BulkResult, 0, len(req.IDs))
	for _, want := range req.IDs {
		r, found := byID[want]
		if !found {
			r = &BulkResult{ID: want}
			r.refuse(errNotFound)
		}
		results = append(results, *r)
		if r.changed {
			changed = append(changed, r.ID)
		}
	}
	return results, changed, nil
}

// refuse makes a result of an error of the caller's, and returns any other error.
func (b *BulkResult) refuse(err error) error {
	refused, is := errors.AsType[*apierr.Error](err)
	if !is {
		return err
	}
	b.OK, b.Queued, b.Refund, b.Release = false, false, 0, 0
	b.Error = &BulkError{refused.Code, refused.Message, refused.Details}
	return nil
}

// bulkRows returns the deployments that the request names, locked and in the order of ids: in that
// order every transaction locks them. It sets the request's ids where it has a filter.
func (s *Service) bulkRows(ctx context.Context, tx *db.Tx, account id.ID, req *BulkRequest) ([]row, error) {
	if req.Filter != nil {
		if req.Within != "" && req.Filter.Project != "" && req.Filter.Project != req.Within {
			return nil, nil
		}
		if req.Within != "" {
			req.Filter.Project = req.Within
		}
		found, err := filtered(ctx, tx, account, *req.Filter, MaxBulk+1)
		if err != nil {
			return nil, err
		}
		if len(found) > MaxBulk {
			return nil, apierr.Invalid([]apierr.FieldError{{
				Field: "filter", Message: "matches more than 500 deployments. Narrow it.",
			}})
		}
		req.IDs = found
	}
	rows, err := lockAll(ctx, tx, account, req.IDs)
	return slices.DeleteFunc(rows, func(r row) bool { return req.Within != "" && r.project != req.Within }), err
}

func (s *Service) bulkTerminate(
	ctx context.Context, tx *db.Tx, rows []row, req BulkRequest, results map[id.ID]*BulkResult,
) error {
	var ending []id.ID
	ends := map[id.ID]time.Time{}
	for i := range rows {
		r, out := &rows[i], results[rows[i].id]
		out.OK = true
		if err := r.mayTerminate(tx.Now, req.Earliest); err != nil {
			if err := out.refuse(err); err != nil {
				return err
			}
			continue
		}
		if out.Queued = r.terminableAt().After(tx.Now) && !r.ended(); !out.Queued && !r.ended() {
			ending = append(ending, r.id)
			ends[r.id] = r.notAfterEnd(tx.Now)
		}
	}
	refunds, err := s.cfg.Meter.PreviewAll(ctx, tx, ends, meter.FirstHour)
	if err != nil {
		return err
	}
	held, err := s.cfg.Wallet.HeldAll(ctx, tx, ending)
	if err != nil {
		return err
	}
	for i := range rows {
		r, out := &rows[i], results[rows[i].id]
		out.Refund, out.Release = refunds[r.id], held[r.id]
		if req.DryRun || !out.OK || r.ended() {
			continue
		}
		if out.changed = true; out.Queued {
			err = s.queueTermination(ctx, tx, r)
		} else {
			err = s.beginEnd(ctx, tx, r, CauseRequested, "")
		}
		if err != nil {
			return err
		}
	}
	tx.AfterCommit(func() { crashpoint.Reach(crashpoint.TerminateAfterCommit) })
	return nil
}

func (s *Service) bulkTag(
	ctx context.Context, tx *db.Tx, rows []row, req BulkRequest, results map[id.ID]*BulkResult,
) error {
	var all []deploymentTag // of the changed deployments
	var changed []id.ID
	var billed []wallet.Subject
	var events []event.Event
	for i := range rows {
		r, out := &rows[i], results[rows[i].id]
		out.OK = true
		tags := withTags(r.tags, req.Tags)
		if req.Action == BulkRemoveTags {
			tags = slices.DeleteFunc(slices.Clone(r.tags), func(t string) bool { return slices.Contains(req.Tags, t) })
		}
		f := &fieldErrors{}
		if checkTags(f, tags); f.err() != nil {
			if err := out.refuse(f.err()); err != nil {
				return err
			}
			continue
		}
		if len(tags) == len(r.tags) {
			continue
		}
		r.tags, out.changed = tags, true
		for n, tag := range tags {
			all = append(all, deploymentTag{r.id, r.account, int64(n), tag})
		}
		changed, billed = append(changed, r.id), append(billed, r.billed())
		events = append(events, r.updatedEvent())
	}
	if req.DryRun || len(changed) == 0 {
		return nil
	}
	if _, err := deploymentTags.Delete(ctx, tx, db.IsOneOf("deployment_id", changed)); err != nil {
		return err
	}
	if err := deploymentTags.Insert(ctx, tx, all...); err != nil {
		return err
	}
	if err := s.cfg.Wallet.Describe(ctx, tx, billed...); err != nil {
		return err
	}
	return s.cfg.Events.Append(ctx, tx, events...)
}

// withTags returns the tags with those added that are not among them.
func withTags(tags, added []string) []string {
	out := slices.Clone(tags)
	for _, t := range added {
		if !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

func (s *Service) bulkAutoTerminate(
	ctx context.Context, tx *db.Tx, rows []row, req BulkRequest, results map[id.ID]*BulkResult,
) error {
	update := UpdateRequest{
		Key: req.Key, AutoTerminateAt: req.AutoTerminateAt, ClearAutoTerminateAt: req.AutoTerminateAt == nil,
	}
	for i := range rows {
		r, out := &rows[i], results[rows[i].id]
		out.OK = true
		if req.DryRun {
			err := r.mayUpdate(update, tx.Now)
			if err := out.refuse(err); err != nil {
				return err
			}
			continue
		}
		// The key's spending limits may refuse what was written before.
		undone, err := savepoint(ctx, tx, func() error { return s.update(ctx, tx, r, update) })
		if undone {
			err = out.refuse(err)
		}
		if err != nil {
			return err
		}
		out.changed = out.OK
	}
	return nil
}
