package account_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func (w world) tryInvite(of id.ID, by account.User, role account.Role, email string) (i account.Invitation,
	token string, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		i, token, err = w.s.Invite(ctx, tx, of, by, role, email)
		return err
	})
	return i, token, err
}

func (w world) invite(of id.ID, by account.User, role account.Role, email string) string {
	w.Helper()
	_, token, err := w.tryInvite(of, by, role, email)
	w.ok(err)
	return token
}

func (w world) accept(token string, p account.User) (joined id.ID, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		joined, err = w.s.Accept(ctx, tx, token, p)
		return err
	})
	return joined, err
}

func (w world) acceptAsNew(token, email string) (p account.Proof, joined id.ID, err error) {
	n, err := w.s.Prepare(w.Context(), account.UserRequest{Email: email, Password: password, Operator: true})
	if err != nil {
		return p, "", err
	}
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		p, joined, err = w.s.AcceptAsNew(ctx, tx, token, n)
		return err
	})
	return p, joined, err
}

func TestService_AcceptAsNew(t *testing.T) {
	engines(t, func(w world) {
		owner := w.as(w.mine, account.Owner, "owner@example.com")
		token := w.invite(w.mine, owner, account.Member, "")
		view, err := w.s.ViewInvitation(w.Context(), w.d, token, here)
		if err != nil || view.AccountName != "mine" || view.Role != account.Member ||
			view.InvitedBy != owner.Email || view.Email != "" {
			t.Fatalf("%+v %v", view, err)
		}
		_, _, err = w.acceptAsNew(token, owner.Email)
		w.fails(err, apierr.Conflict) // and the invitation is not used up
		proof, joined, err := w.acceptAsNew(token, email)
		if err != nil || joined != w.mine || proof.User.Operator {
			t.Fatalf("%+v %s %v", proof.User, joined, err)
		}
		n, err := w.begin(proof)
		if err != nil || n.Role != account.Member || n.Account != w.mine {
			t.Fatalf("%+v %v", n, err)
		}
		_, _, err = w.acceptAsNew(token, "eve@example.com")
		w.fails(err, apierr.NotFound)
		_, err = w.s.ViewInvitation(w.Context(), w.d, token, here)
		w.fails(err, apierr.NotFound)
		var row string
		w.ok(w.d.QueryRow(w.Context(), `SELECT token_hash FROM invitation`).Scan(&row))
		if row == token {
			t.Error("the token is in the database")
		}
		if list, total, err := w.s.ListInvitations(w.Context(), w.d, w.mine,
			db.Page{Number: 1, Limit: 10}); err != nil || total.Total != 1 ||
			list[0].Status != account.InvitationAccepted {
			t.Errorf("%+v %v", list, err)
		}
		if _, total, err := w.s.ListInvitations(w.Context(), w.d, w.theirs,
			db.Page{Number: 1, Limit: 10}); err != nil || total.Total != 0 {
			t.Errorf("%d, %v", total.Total, err)
		}
	})
}

func TestService_AcceptAsNew_Concurrent(t *testing.T) {
	engines(t, func(w world) {
		token := w.invite(w.mine, w.as(w.mine, account.Owner, "owner@example.com"), account.Member, "")
		var in atomic.Int32
		var wg sync.WaitGroup
		for i := range 6 {
			wg.Go(func() {
				_, _, err := w.acceptAsNew(token, fmt.Sprintf("p%d@example.com", i))
				if err == nil {
					in.Add(1)
				} else if apierr.CodeOf(err) != apierr.NotFound {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		if _, total, err := w.s.ListMembers(w.Context(), w.d, w.mine,
			db.Page{Number: 1, Limit: 10}); err != nil || in.Load() != 1 || total.Total != 2 {
			t.Errorf("%d came in, %d belong to the account, %v", in.Load(), total.Total, err)
		}
	})
}

func TestService_Accept_OtherEmail(t *testing.T) {
	engines(t, func(w world) {
		owner, ada := w.as(w.mine, account.Owner, "owner@example.com"), w.as(w.theirs, account.Owner, email)
		token := w.invite(w.mine, owner, account.Billing, " ADA@example.com")
		eve := w.as(w.theirs, account.Owner, "eve@example.com")
		_, err := w.accept(token, eve)
		w.fails(err, apierr.Conflict)
		_, _, err = w.acceptAsNew(token, "mallory@example.com")
		w.fails(err, apierr.Conflict)
		if found, err := w.s.EmailKnown(w.Context(), w.d, "mallory@example.com"); err != nil || found {
			t.Errorf("a refused user was made: %v", err)
		}
		joined, err := w.accept(token, ada)
		if err != nil || joined != w.mine {
			t.Fatal(joined, err)
		}
		_, _, err = w.tryInvite(w.mine, owner, account.Member, email)
		w.fails(err, apierr.Conflict) // a member already
		again := w.invite(w.mine, owner, account.Admin, "")
		_, err = w.accept(again, ada)
		w.fails(err, apierr.Conflict)
		if _, err = w.s.ViewInvitation(w.Context(), w.d, again, here); err != nil {
			t.Errorf("it was used up: %v", err)
		}
		if all, err := w.s.Memberships(w.Context(), w.d, ada.ID); err != nil || len(all) != 2 ||
			!slices.Contains(all, account.Membership{ID: w.mine, Name: "mine", Role: account.Billing}) {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestService_ViewInvitation_Invalid(t *testing.T) {
	engines(t, func(w world) {
		owner, admin := w.as(w.mine, account.Owner, "owner@example.com"), w.as(w.mine, account.Admin,
			"admin@example.com")
		member := w.as(w.mine, account.Member, "member@example.com")
		_, _, err := w.tryInvite(w.mine, admin, account.Owner, "")
		w.fails(err, apierr.InsufficientScope)
		_, _, err = w.tryInvite(w.mine, member, account.Viewer, "")
		w.fails(err, apierr.InsufficientScope)
		_, _, err = w.tryInvite(w.theirs, owner, account.Viewer, "")
		w.fails(err, apierr.InsufficientScope)
		_, _, err = w.tryInvite(w.mine, owner, "root", "no address")
		if f := w.fails(err, apierr.InvalidRequest).Fields(); len(f) != 2 {
			t.Errorf("%v", f)
		}

		revoke := func(of, i id.ID) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				_,
					err := w.s.RevokeInvitation(ctx, tx, of, i)
				return err
			})
		}
		i, revoked, err := w.tryInvite(w.mine, owner, account.Member, "")
		w.ok(err)
		w.fails(revoke(w.theirs, i.ID), apierr.NotFound)
		w.fails(revoke(w.mine, "inv_\x00"), apierr.NotFound)
		for range 2 {
			w.ok(revoke(w.mine, i.ID))
		}
		used, accepted, err := w.tryInvite(w.mine, owner, account.Member, "")
		w.ok(err)
		_, _, err = w.acceptAsNew(accepted, "p@example.com")
		w.ok(err)
		w.fails(revoke(w.mine, used.ID), apierr.Conflict)
		demoted := w.invite(w.mine, admin, account.Member, "")
		_, err = w.setRole(w.mine, owner.ID, admin.ID, account.Member)
		w.ok(err)
		expired := w.invite(w.mine, owner, account.Member, "")
		w.c.Advance(account.InvitationLifetime - 1000)
		if _, err := w.s.ViewInvitation(w.Context(), w.d, expired, here); err != nil {
			t.Fatalf("it expired too early: %v", err)
		}
		w.c.Advance(1000)
		var first string
		for name, token := range map[string]string{"revoked": revoked, "accepted": accepted,
			"inviter without the right": demoted, "expired": expired, "unknown": revoked[1:] +
				"0", "empty": "", "NUL": "\x00"} {
			_, err := w.s.ViewInvitation(w.Context(), w.d, token, here)
			if e := w.fails(err, apierr.NotFound); first != "" && e.Message != first {
				t.Errorf("%s is told apart: %s", name, e.Message)
			} else {
				first = e.Message
			}
			_, _, err = w.acceptAsNew(token, "q@example.com")
			w.fails(err, apierr.NotFound)
			_, err = w.accept(token, member)
			w.fails(err, apierr.NotFound)
		}
	})
}

func TestService_ViewInvitation_Throttled(t *testing.T) {
	engines(t, func(w world) {
		token := w.invite(w.mine, w.as(w.mine, account.Owner, "owner@example.com"), account.Member, "")
		stranger := netip.MustParseAddr("192.0.2.7")
		refused := 0
		for range account.TriesPerAddress + 10 {
			if _, err := w.s.ViewInvitation(w.Context(), w.d, "wrong",
				stranger); apierr.CodeOf(err) == apierr.RateLimitExceeded {
				refused++
			}
		}
		if refused != 10 {
			t.Errorf("%d refused, want the last 10", refused)
		}
		for range 100 { // who has the right one is not counted, and not kept out by others at the same address
			_, err := w.s.ViewInvitation(w.Context(), w.d, token, stranger)
			w.ok(err)
		}
	})
}
