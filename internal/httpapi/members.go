package httpapi

import (
	"cmp"
	"context"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
)

// members are the users of an account and their roles.
type members struct {
	db       *db.DB
	accounts *account.Service
}

func (h members) routes(r *rest.Router) {
	const all, one = AccountBase + "/members", AccountBase + "/members/{id}"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listMembers", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.ReadMembers), Summary: "List members", Description: "In the order in which they joined.",
	}, h.list)
	rest.Write(r, rest.Operation{
		Method: http.MethodPatch, Path: one, ID: "updateMember", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteMembers), Summary: "Change a member's role",
		Description: "Only an owner can add or remove the owner role, and the last owner keeps it. The role applies " +
			"from the member's next " +
			"call on. If the new role cannot create API keys, the keys that the member created in the account are " +
			"revoked.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.update)
	rest.Write(r, rest.Operation{
		Method: http.MethodDelete, Path: one, ID: "removeMember", Tag: tagAccount, Auth: rest.SessionOnly,
		Scope: string(account.WriteMembers), Summary: "Remove a member",
		Description: "Ends the member's sessions in this account at once, and revokes API keys and invitations that " +
			"the member created in " +
			"it. Only an owner can remove an owner, and the last owner stays.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.remove)
}

type memberPath struct {
	ID id.ID `path:"id" doc:"Id of the user, usr_…"`
}

type updateMember struct {
	memberPath
	Body struct {
		Role account.Role `json:"role"`
	}
}

func (h members) list(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]account.MemberInfo, db.Listed, error) {
	return h.accounts.ListMembers(ctx, h.db, c.Caller.Account, p)
}

func (h members) update(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *updateMember,
) (account.MemberInfo, error) {
	return h.accounts.SetRole(ctx, tx, c.Caller.Account, callerOf(c).user.ID, in.ID, in.Body.Role)
}

func (h members) remove(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *memberPath,
) (account.MemberInfo, error) {
	m, err := h.accounts.RemoveMember(ctx, tx, c.Caller.Account, callerOf(c).user.ID, in.ID)
	c.Change.Name = cmp.Or(m.Name, m.Email)
	return m, err
}
