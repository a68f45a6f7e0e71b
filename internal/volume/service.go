package volume

import (
	"context"
	"fmt"
	"time"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/event"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/meter"
	"github.com/billetcloud/billet/internal/spendlimit"
)

// List returns a page of the account's volumes that are not deleted, in that order, and how many there are.
func (s *Service) List(ctx context.Context, r db.Reader, account id.ID, o db.Order, p db.Page) ([]Volume, db.Listed, error) {
	records, total, err := list(ctx, r, account, o, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	volumes, err := s.volumes(ctx, r, records)
	return volumes, total, err
}

// Get returns one of the account's volumes, deleted or not, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, volume id.ID) (Volume, error) {
	found, missing, err := s.Find(ctx, r, account, []id.ID{volume})
	if err != nil {
		return Volume{}, err
	}
	if len(missing) > 0 {
		return Volume{}, notFound(volume)
	}
	return found[0], nil
}

// Find returns those of the account's volumes in the order of ids, and the ids that it has none for.
func (s *Service) Find(ctx context.Context, r db.Reader, account id.ID, ids []id.ID) (found []Volume, missing []id.ID, err error) {
	if len(ids) == 0 {
		return []Volume{}, nil, nil
	}
	records, err := find(ctx, r, account, ids)
	if err != nil {
		return nil, nil, err
	}
	volumes, err := s.volumes(ctx, r, records)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[id.ID]Volume, len(volumes))
	for _, v := range volumes {
		byID[v.ID] = v
	}
	found = []Volume{}
	for _, want := range ids {
		if v, there := byID[want]; there {
			found = append(found, v)
		} else {
			missing = append(missing, want)
		}
	}
	return found, missing, nil
}

// AttachedTo returns, for each of the deployments that has any, the volumes that are attached to it or
// on their way to or from it, in the order of ids.
func (s *Service) AttachedTo(ctx context.Context, r db.Reader, deployments []id.ID) (map[id.ID][]id.ID, error) {
	if len(deployments) == 0 {
		return map[id.ID][]id.ID{}, nil
	}
	return attachedTo(ctx, r, deployments)
}

// ListForPastDue returns every volume of the account that exists or is coming into being, for a warning that they will be deleted.
func (s *Service) ListForPastDue(ctx context.Context, r db.Reader, account id.ID) ([]Volume, error) {
	records, err := live(ctx, r, account)
	if err != nil {
		return nil, err
	}
	return s.volumes(ctx, r, records)
}

// volumes adds what each has cost, in one query for all.
func (s *Service) volumes(ctx context.Context, r db.Reader, records []record) ([]Volume, error) {
	out := make([]Volume, len(records))
	if len(records) == 0 {
		return out, nil
	}
	ids := make([]id.ID, len(records))
	for i := range records {
		ids[i] = records[i].id
	}
	costs, err := s.c.Meter.Costs(ctx, r, ids)
	if err != nil {
		return nil, err
	}
	for i := range records {
		out[i] = records[i].volume(costs[records[i].id])
	}
	return out, nil
}

// UpdateRequest says what is to change; nil leaves it as it is.
type UpdateRequest struct {
	// Key is the API key that asks, whose allowance counts; "" for a user.
	Key  id.ID
	Name *string
	// SizeGB is the whole new size, in decimal GB; never less than before.
	SizeGB *int64
}

// Update renames a volume, and has it grow in the background at its own price per GB: SizeGB and the
// price change when the provider has done it, for the hours that begin from then on. Files stay where a machine has mounted
// them. It answers NOT_FOUND, INVALID_REQUEST with every fault, CONFLICT, or INSUFFICIENT_BALANCE
// where less than an hour of what is added is available.
func (s *Service) Update(ctx context.Context, tx *db.Tx, account, volume id.ID, req UpdateRequest) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	rename := req.Name != nil && *req.Name != r.name
	grow := req.SizeGB != nil && *req.SizeGB != r.wantedGB
	var faults []apierr.FieldError
	if rename {
		faults = checkName(*req.Name)
	}
	if grow {
		faults = append(faults, s.checkGrowth(r, *req.SizeGB)...)
	}
	if err := apierr.Invalid(faults).OrNil(); err != nil {
		return Volume{}, err
	}
	switch {
	case !rename && !grow:
		return s.one(ctx, tx, r)
	case r.status == StatusDeleting || r.status == StatusDeleted || r.status == StatusFailed:
		return Volume{}, apierr.New(apierr.Conflict, "The volume is %s and cannot be changed any more.", r.status)
	case grow && r.status == StatusCreating:
		return Volume{}, apierr.New(apierr.Conflict, "The volume is still being created; it can grow once it is available.")
	}
	if grow {
		extra := r.perGBHour.Times(*req.SizeGB - r.wantedGB)
		w, err := s.c.Wallet.Get(ctx, tx, account)
		if err != nil {
			return Volume{}, err
		}
		if w.Available < extra {
			return Volume{}, insufficient(extra, w.Available, fmt.Sprintf("add %d GB (an hour at %s per GB)", *req.SizeGB-r.wantedGB, r.perGBHour))
		}
		if err := spendlimit.Reprice(ctx, tx, req.Key, r.id, r.perGBHour.Times(*req.SizeGB)); err != nil {
			return Volume{}, err
		}
		r.wantedGB, r.reason = *req.SizeGB, ""
		if err := s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now); err != nil {
			return Volume{}, err
		}
	}
	if rename {
		if renamed, err := setName(ctx, tx, account, r.id, *req.Name); err != nil {
			return Volume{}, err
		} else if !renamed {
			return Volume{}, s.nameTaken(ctx, tx, account, *req.Name)
		}
		r.name = *req.Name
	}
	if err := save(ctx, tx, r); err != nil {
		return Volume{}, err
	}
	if rename {
		if err := s.reprice(ctx, tx, r); err != nil { // its lines on the bill bear the new name
			return Volume{}, err
		}
	}
	if err := s.tell(ctx, tx, r, "updated"); err != nil {
		return Volume{}, err
	}
	return s.one(ctx, tx, r)
}

func (s *Service) checkGrowth(r record, sizeGB int64) []apierr.FieldError {
	one := func(format string, args ...any) []apierr.FieldError {
		return []apierr.FieldError{{Field: "sizeGb", Message: fmt.Sprintf(format, args...)}}
	}
	price, sold := s.c.Catalog.For(r.account).VolumePrice(r.provider, r.region)
	switch {
	case sizeGB < r.wantedGB:
		return one("a volume never shrinks; it has %d GB.", r.wantedGB)
	case !sold:
		return one("%s has no volumes in %s to be had at the moment; try again later.", r.provider, r.region)
	case sizeGB > price.MaxSizeGB:
		return one("a volume of %s in %s has at most %d GB.", r.provider, r.region, price.MaxSizeGB)
	}
	return nil
}

// Delete deletes a volume and its files, in the background. It is not paid for from now on; the hour that has begun is. A
// volume that a deployment has is a CONFLICT; what is deleted, or on its way there, succeeds again.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, volume id.ID) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch {
	case r.held():
		return Volume{}, &apierr.Error{Code: apierr.Conflict, Details: map[string]any{"deploymentId": r.deployment},
			Message: fmt.Sprintf("The volume is %s (%s). Detach it, wait until it is available, then delete it.", r.status, r.deployment)}
	case r.status == StatusDeleting || r.status == StatusDeleted:
		return s.one(ctx, tx, r)
	case r.status == StatusFailed:
		now := tx.Now.Truncate(time.Second)
		r.deleted = &now
		if err := s.move(ctx, tx, &r, StatusDeleted, ""); err != nil {
			return Volume{}, err
		}
	default:
		if err := s.beginDelete(ctx, tx, &r, ""); err != nil {
			return Volume{}, err
		}
	}
	return s.one(ctx, tx, r)
}

// DeleteAll deletes every volume of the account, also those that deployments have: they are detached on the way.
func (s *Service) DeleteAll(ctx context.Context, tx *db.Tx, account id.ID) error {
	records, err := live(ctx, tx, account)
	if err != nil {
		return err
	}
	for _, found := range records {
		r, err := s.lock(ctx, tx, account, found.id)
		if err != nil {
			return err
		}
		if r.status == StatusDeleting || r.status == StatusDeleted || r.status == StatusFailed {
			continue
		}
		if err := s.beginDelete(ctx, tx, &r, "The account's balance stayed below zero."); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) beginDelete(ctx context.Context, tx *db.Tx, r *record, reason string) error {
	if r.availableAt != nil {
		if _, err := s.c.Meter.Stop(ctx, tx, r.id, tx.Now, meter.NoRefund); err != nil {
			return err
		}
	} else if _, err := s.c.Wallet.Release(ctx, tx, r.id); err != nil {
		return err
	}
	r.wantedGB = r.sizeGB
	if err := s.move(ctx, tx, r, StatusDeleting, reason); err != nil {
		return err
	}
	return s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now)
}

// Attach has the volume attached to a deployment, as soon as its machine is ready. Repeated for the same
// deployment it succeeds. It answers NOT_FOUND, INVALID_REQUEST where provider or region differ, CONFLICT where the volume is not available.
func (s *Service) Attach(ctx context.Context, tx *db.Tx, account, volume id.ID, to Target) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch {
	case r.deployment == to.Deployment && (r.status == StatusAttaching || r.status == StatusAttached):
		return s.one(ctx, tx, r)
	case r.held():
		return Volume{}, &apierr.Error{Code: apierr.Conflict, Details: map[string]any{"deploymentId": r.deployment},
			Message: fmt.Sprintf("The volume is %s (%s). Detach it first, and wait until it is available.", r.status, r.deployment)}
	case r.status != StatusAvailable:
		return Volume{}, apierr.New(apierr.Conflict, "The volume is %s; only an available volume can be attached.", r.status)
	case r.provider != to.Provider || r.region != to.Region:
		return Volume{}, apierr.Invalid([]apierr.FieldError{{Field: "deploymentId", Message: fmt.Sprintf(
			"the volume is at %s in %s, but the deployment is at %s in %s; a volume can be attached only where it is.", r.provider, r.region, to.Provider, to.Region)}})
	}
	r.deployment = to.Deployment
	if err := s.move(ctx, tx, &r, StatusAttaching, ""); err != nil {
		return Volume{}, err
	}
	if err := s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now); err != nil {
		return Volume{}, err
	}
	return s.one(ctx, tx, r)
}

// Detach has the volume taken from whatever deployment has it; its files stay. What is detached, or on its way there, succeeds again.
func (s *Service) Detach(ctx context.Context, tx *db.Tx, account, volume id.ID) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch r.status {
	case StatusAvailable, StatusDetaching:
	case StatusAttaching, StatusAttached:
		if err := s.beginDetach(ctx, tx, &r, ""); err != nil {
			return Volume{}, err
		}
	default:
		return Volume{}, apierr.New(apierr.Conflict, "The volume is %s; there is nothing to detach it from.", r.status)
	}
	return s.one(ctx, tx, r)
}

// DetachAll has every volume taken from a deployment whose machine has ended.
func (s *Service) DetachAll(ctx context.Context, tx *db.Tx, deployment id.ID) error {
	attached, err := attachedTo(ctx, tx, []id.ID{deployment})
	if err != nil {
		return err
	}
	for _, volume := range attached[deployment] {
		r, found, err := lock(ctx, tx, volume)
		if err != nil {
			return err
		}
		if !found || r.deployment != deployment || (r.status != StatusAttaching && r.status != StatusAttached) {
			continue
		}
		if err := s.beginDetach(ctx, tx, &r, ""); err != nil {
			return err
		}
	}
	return nil
}

// Reattach has every volume that a deployment has, or is to have, attached to the machine that it has from now on.
func (s *Service) Reattach(ctx context.Context, tx *db.Tx, deployment id.ID) error {
	attached, err := attachedTo(ctx, tx, []id.ID{deployment})
	if err != nil {
		return err
	}
	for _, volume := range attached[deployment] {
		r, found, err := lock(ctx, tx, volume)
		if err != nil {
			return err
		}
		if !found || r.deployment != deployment || (r.status != StatusAttaching && r.status != StatusAttached) {
			continue
		}
		if err := s.move(ctx, tx, &r, StatusAttaching, ""); err != nil {
			return err
		}
		if err := s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) beginDetach(ctx context.Context, tx *db.Tx, r *record, reason string) error {
	if err := s.move(ctx, tx, r, StatusDetaching, reason); err != nil {
		return err
	}
	return s.c.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now)
}

// lock returns the account's volume for a change, or NOT_FOUND.
func (s *Service) lock(ctx context.Context, tx *db.Tx, account, volume id.ID) (record, error) {
	r, found, err := lockOwn(ctx, tx, account, volume)
	if err == nil && !found {
		err = notFound(volume)
	}
	return r, err
}

// one is the volume as a tenant sees it, with its cost.
func (s *Service) one(ctx context.Context, r db.Reader, now record) (Volume, error) {
	out, err := s.volumes(ctx, r, []record{now})
	if err != nil {
		return Volume{}, err
	}
	return out[0], nil
}

// move writes the volume with another status and tells of it.
func (s *Service) move(ctx context.Context, tx *db.Tx, r *record, to Status, reason string) error {
	r.status, r.reason, r.since = to, reason, tx.Now
	if err := save(ctx, tx, *r); err != nil {
		return err
	}
	if to == StatusDeleting || to == StatusFailed { // it is not paid for any more
		at := &tx.Now
		if r.availableAt == nil {
			at = nil
		}
		if err := spendlimit.End(ctx, tx, r.id, at); err != nil {
			return err
		}
	}
	return s.tell(ctx, tx, *r, string(to))
}

// tell appends the event "volume.<what>".
func (s *Service) tell(ctx context.Context, tx *db.Tx, r record, what string) error {
	data := map[string]any{"name": r.name, "status": r.status, "sizeGb": r.sizeGB}
	if r.reason != "" {
		data["reason"] = r.reason
	}
	if r.wantedGB > r.sizeGB {
		data["growingToGb"] = r.wantedGB
	}
	if r.held() {
		data["attachedTo"] = r.deployment
	}
	if r.status == StatusAttached {
		data["mountPath"] = r.mountPath
	}
	return s.c.Events.Append(ctx, tx, event.Event{Account: r.account, Subject: r.id, Type: "volume." + what, Data: data})
}

// reprice has the hours that begin from now on charged by what the volume is now.
func (s *Service) reprice(ctx context.Context, tx *db.Tx, r record) error {
	return s.c.Meter.Reprice(ctx, tx, r.id, r.hourly(), r.labels(), describe(r.sizeGB))
}

// describe is what an hour is of, on the bill.
func describe(sizeGB int64) string { return fmt.Sprintf("%d GB volume", sizeGB) }
