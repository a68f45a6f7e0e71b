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

// Filter narrows a list. Zero fields do not.
type Filter struct {
	db.NameFilter
	Project string
	// CreatedBy is the id of a user or API key.
	CreatedBy id.ID
	Order     db.Order
}

// CheckProject returns NOT_FOUND, as for a volume that does not exist, unless the volume is of the
// project.
func (s *Service) CheckProject(ctx context.Context, r db.Reader, account, volume id.ID, project string) error {
	in, err := isIn(ctx, r, account, volume, project)
	if err == nil && !in {
		err = notFound(volume)
	}
	return err
}

// List returns a page of the account's volumes that are not deleted, and how many there are.
func (s *Service) List(
	ctx context.Context, r db.Reader, account id.ID, f Filter, p db.Page,
) ([]Volume, db.Listed, error) {
	records, total, err := list(ctx, r, account, f, p)
	if err != nil {
		return nil, db.Listed{}, err
	}
	volumes, err := s.volumes(ctx, r, records)
	return volumes, total, err
}

// Get returns one of the account's volumes, deleted or not, or NOT_FOUND.
func (s *Service) Get(ctx context.Context, r db.Reader, account, volume id.ID) (Volume, error) {
	found, is, err := findOne(ctx, r, account, volume)
	if err == nil && !is {
		err = notFound(volume)
	}
	if err != nil {
		return Volume{}, err
	}
	return s.one(ctx, r, found)
}

// Find returns the account's volumes with those ids, in their order, and the ids that it has no
// volume for. With a project, volumes of others count as missing.
func (s *Service) Find(
	ctx context.Context, r db.Reader, account id.ID, project string, ids []id.ID,
) (found []Volume, missing []id.ID, err error) {
	if len(ids) == 0 {
		return []Volume{}, nil, nil
	}
	records, err := find(ctx, r, account, project, ids)
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

// AttachedTo returns, for each of the deployments that has any, the volumes that are attached to
// it, attaching or detaching, in the order of ids.
func (s *Service) AttachedTo(
	ctx context.Context, r db.Reader, deployments []id.ID,
) (map[id.ID][]id.ID, error) {
	if len(deployments) == 0 {
		return map[id.ID][]id.ID{}, nil
	}
	return attachedTo(ctx, r, deployments)
}

// volumes returns the views of the records, with what each has cost in one query.
func (s *Service) volumes(ctx context.Context, r db.Reader, records []record) ([]Volume, error) {
	out := make([]Volume, len(records))
	if len(records) == 0 {
		return out, nil
	}
	ids := make([]id.ID, len(records))
	for i := range records {
		ids[i] = records[i].id
	}
	costs, err := s.cfg.Meter.Costs(ctx, r, ids)
	if err != nil {
		return nil, err
	}
	for i := range records {
		out[i] = records[i].view(costs[records[i].id])
	}
	return out, nil
}

// Attach attaches the volume to a deployment, as soon as its machine is ready. Repeating it for the
// same deployment succeeds. It returns NOT_FOUND, INVALID_REQUEST if provider or region differ, or
// CONFLICT if the volume is not available.
func (s *Service) Attach(ctx context.Context, tx *db.Tx, account, volume id.ID, to Target) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch {
	case r.deployment == to.Deployment && (r.status == StatusAttaching || r.status == StatusAttached):
		return s.one(ctx, tx, r)
	case r.held():
		return Volume{}, heldError(&r, "Detach it first, and wait until it is available.")
	case r.status != StatusAvailable:
		return Volume{}, apierr.New(
			apierr.Conflict,
			"The volume is %s. Only an available volume can be attached.",
			r.status,
		)
	case r.provider != to.Provider || r.region != to.Region:
		return Volume{}, apierr.Invalid([]apierr.FieldError{{Field: "deploymentId", Message: fmt.Sprintf(
			"the volume is at %s in %s, but the deployment is at %s in %s. "+
				"A volume can be attached only at its own provider and region.",
			r.provider, r.region, to.Provider, to.Region)}})
	}
	r.deployment = to.Deployment
	if err := s.begin(ctx, tx, &r, StatusAttaching, ""); err != nil {
		return Volume{}, err
	}
	return s.one(ctx, tx, r)
}

func heldError(r *record, advice string) error {
	return &apierr.Error{
		Code:    apierr.Conflict,
		Message: fmt.Sprintf("The volume is %s (%s). %s", r.status, r.deployment, advice),
		Details: map[string]any{"deploymentId": r.deployment},
	}
}

// Detach detaches the volume from its deployment; its files are kept. Detaching what is detached,
// or detaching, succeeds.
func (s *Service) Detach(ctx context.Context, tx *db.Tx, account, volume id.ID) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch r.status {
	case StatusAvailable, StatusDetaching:
	case StatusAttaching, StatusAttached:
		if err := s.begin(ctx, tx, &r, StatusDetaching, ""); err != nil {
			return Volume{}, err
		}
	default:
		return Volume{}, apierr.New(apierr.Conflict, "The volume is %s and not attached.", r.status)
	}
	return s.one(ctx, tx, r)
}

// DetachAll detaches every volume from a deployment whose machine has ended.
func (s *Service) DetachAll(ctx context.Context, tx *db.Tx, deployment id.ID) error {
	return s.eachAttached(ctx, tx, deployment, StatusDetaching)
}

// Reattach attaches every volume that a deployment has, or is to have, to its new machine.
func (s *Service) Reattach(ctx context.Context, tx *db.Tx, deployment id.ID) error {
	return s.eachAttached(ctx, tx, deployment, StatusAttaching)
}

// eachAttached gives every volume that is attached to the deployment, or attaching, that status.
func (s *Service) eachAttached(ctx context.Context, tx *db.Tx, deployment id.ID, to Status) error {
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
		if err := s.begin(ctx, tx, &r, to, ""); err != nil {
			return err
		}
	}
	return nil
}

// Delete deletes a volume and its files, in the background. Its meter stops now; the hour that has
// begun is charged. A volume that is attached is a CONFLICT. Deleting what is deleted, or being
// deleted, succeeds.
func (s *Service) Delete(ctx context.Context, tx *db.Tx, account, volume id.ID) (Volume, error) {
	r, err := s.lock(ctx, tx, account, volume)
	if err != nil {
		return Volume{}, err
	}
	switch {
	case r.held():
		return Volume{}, heldError(&r, "Detach it, wait until it is available, then delete it.")
	case r.status == StatusDeleting || r.status == StatusDeleted:
	case r.status == StatusFailed:
		now := tx.Now.Truncate(time.Second)
		r.deletedAt = &now
		err = s.setStatus(ctx, tx, &r, StatusDeleted, "")
	default:
		err = s.beginDelete(ctx, tx, &r, "")
	}
	if err != nil {
		return Volume{}, err
	}
	return s.one(ctx, tx, r)
}

// DeleteAll deletes every volume of the account. Those that are attached are detached first.
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
		if r.ended() {
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
		if _, err := s.cfg.Meter.Stop(ctx, tx, r.id, tx.Now, meter.NoRefund); err != nil {
			return err
		}
	} else if _, err := s.cfg.Wallet.Release(ctx, tx, r.id); err != nil {
		return err
	}
	r.wantedSizeGB = r.sizeGB
	return s.begin(ctx, tx, r, StatusDeleting, reason)
}

// begin gives the volume a status that the provider is to bring about.
func (s *Service) begin(ctx context.Context, tx *db.Tx, r *record, to Status, reason string) error {
	if err := s.setStatus(ctx, tx, r, to, reason); err != nil {
		return err
	}
	return s.enqueue(ctx, tx, r)
}

// enqueue has the volume reconciled.
func (s *Service) enqueue(ctx context.Context, tx *db.Tx, r *record) error {
	return s.cfg.Jobs.Enqueue(ctx, tx, r.account, KindVolume, r.id, tx.Now)
}

// lock returns the account's volume for a change, or NOT_FOUND.
func (s *Service) lock(ctx context.Context, tx *db.Tx, account, volume id.ID) (record, error) {
	r, found, err := lockOwn(ctx, tx, account, volume)
	if err == nil && !found {
		err = notFound(volume)
	}
	return r, err
}

// one returns the view of one record.
func (s *Service) one(ctx context.Context, r db.Reader, now record) (Volume, error) {
	out, err := s.volumes(ctx, r, []record{now})
	if err != nil {
		return Volume{}, err
	}
	return out[0], nil
}

// setStatus writes the volume with another status and appends the event.
func (s *Service) setStatus(ctx context.Context, tx *db.Tx, r *record, to Status, reason string) error {
	r.status, r.reason, r.statusSince = to, reason, tx.Now
	if err := save(ctx, tx, r); err != nil {
		return err
	}
	if to == StatusDeleting || to == StatusFailed { // it is no longer charged
		at := &tx.Now
		if r.availableAt == nil {
			at = nil
		}
		if err := spendlimit.End(ctx, tx, r.id, at); err != nil {
			return err
		}
	}
	return s.appendEvent(ctx, tx, r, string(to))
}

// appendEvent appends the event "volume.<what>".
func (s *Service) appendEvent(ctx context.Context, tx *db.Tx, r *record, what string) error {
	data := map[string]any{"name": r.name, "status": r.status, "sizeGb": r.sizeGB}
	if r.reason != "" {
		data["reason"] = r.reason
	}
	if r.wantedSizeGB > r.sizeGB {
		data["growingToGb"] = r.wantedSizeGB
	}
	if r.held() {
		data["attachedTo"] = r.deployment
	}
	if r.status == StatusAttached {
		data["mountPath"] = r.mountPath
	}
	return s.cfg.Events.Append(ctx, tx, event.Event{
		Account: r.account, Subject: r.id, Type: "volume." + what, Data: data,
	})
}

// reprice has the hours that begin from now on charged by the volume's size and name.
func (s *Service) reprice(ctx context.Context, tx *db.Tx, r *record) error {
	return s.cfg.Meter.Reprice(ctx, tx, r.id, r.hourlyPrice(), r.labels(), describe(r.sizeGB))
}

// describe is what an hour pays for, on the statement.
func describe(sizeGB int64) string { return fmt.Sprintf("%d GB volume", sizeGB) }
