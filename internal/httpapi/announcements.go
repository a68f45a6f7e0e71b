package httpapi

import (
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/announcement"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
)

// announcements are what the operator announces, and what an account reads of it.
type announcements struct {
	db    *db.DB
	clock clock.Clock
	svc   *announcement.Service
}

func (h announcements) routes(r *rest.Router) {
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: Base + "/announcements", ID: "listAnnouncements", Tag: tagAccount,
		Scope: string(account.ReadDeployments), Summary: "List announcements",
		Description: "What the operator announces to the account at present: maintenance, for example. The most " +
			"important first. Some are for accounts with machines at one provider only.",
	}, h.current)
	const all, one = OperatorBase + "/announcements", OperatorBase + "/announcements/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listAllAnnouncements", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List all announcements",
		Description: "Announcements of all times, newest first. They are deleted 90 days after their end.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all, ID: "createAnnouncement", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Create an announcement", Status: http.StatusCreated,
		Description: "`title` and `endsAt` are required. Emails are queued from `startsAt` on, one for each member, " +
			"who can switch them off.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.create)
	rest.ReadVersioned(r, rest.Operation{
		Method: http.MethodGet, Path: one, ID: "getAnnouncement", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get an announcement",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateAnnouncement", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Update an announcement",
		Description: "Changes the given fields and keeps the others. Emails that were queued are not changed. Set " +
			"`endsAt` to end it now.",
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "deleteAnnouncement", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.WriteOperator), Summary: "Delete an announcement",
		Description: "It is no longer shown, and emails that are not queued yet are not sent.",
	}, h.remove)
}

type announcementPath struct {
	ID id.ID `path:"id" doc:"Id of the announcement, ann_…"`
}

type createAnnouncement struct{ Body announcement.Draft }

type updateAnnouncement struct {
	announcementPath
	Body announcement.Draft
}

// Check refuses an update without a field.
func (in *updateAnnouncement) Check() []apierr.FieldError { return someField(!in.Body.Empty()) }

func (h announcements) current(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]announcement.Notice, db.Listed, error) {
	all, err := h.svc.Current(ctx, h.db, c.Caller.Account, h.clock.Now())
	if err != nil {
		return nil, db.Listed{}, err
	}
	return rest.Slice(all, func(n announcement.Notice) string { return string(n.ID) }, p)
}

func (h announcements) list(
	ctx context.Context, _ *rest.Call, _ *rest.Paging, p db.Page,
) ([]announcement.Announcement, db.Listed, error) {
	return h.svc.List(ctx, h.db, p)
}

func (h announcements) get(
	ctx context.Context, r db.Reader, _ *rest.Call, in *announcementPath,
) (announcement.Announcement, error) {
	return h.svc.Get(ctx, r, in.ID)
}

func (h announcements) create(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *createAnnouncement,
) (announcement.Announcement, error) {
	a, err := h.svc.Create(ctx, tx, in.Body)
	if err == nil {
		c.Created(a.ID)
	}
	return a, err
}

func (h announcements) update(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *updateAnnouncement,
) (announcement.Announcement, error) {
	return h.svc.Update(ctx, tx, in.ID, in.Body)
}

func (h announcements) remove(
	ctx context.Context, tx *db.Tx, _ *rest.Call, in *announcementPath,
) (announcement.Announcement, error) {
	return h.svc.Delete(ctx, tx, in.ID)
}
