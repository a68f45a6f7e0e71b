package account_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

func (w world) as(of id.ID, role account.Role, email string) account.User {
	w.Helper()
	p, err := w.userAs(of, role, email, password)
	w.ok(err)
	return p
}

func (w world) setRole(account_, by, user id.ID, role account.Role) (m account.MemberInfo, err error) {
	err = w.tx(func(ctx context.Context, tx *db.Tx) error {
		m, err = w.s.SetRole(ctx, tx, account_, by, user, role)
		return err
	})
	return m, err
}

func (w world) remove(account_, by, user id.ID) error {
	return w.tx(func(ctx context.Context, tx *db.Tx) error {
		_, err := w.s.RemoveMember(ctx, tx, account_, by, user)
		return err
	})
}

func (w world) join(account_, user id.ID, role account.Role) {
	w.Helper()
	w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.AddMember(ctx, tx, account_, user, role) }))
}

// No API key does what its creator's role denies, and none has a scope that is for roles only.
func TestRole_Scopes(t *testing.T) {
	for _, r := range account.Roles {
		for _, s := range account.AllScopes() {
			if r.Allows(account.WriteAPIKeys) && !r.Allows(s) {
				t.Errorf("a %s lacks %s and could make a key that has it", r, s)
			}
		}
	}
	for _, s := range []account.Scope{account.ReadAPIKeys, account.WriteAPIKeys, account.ReadMembers,
		account.WriteMembers, account.ReadAudit} {
		if slices.Contains(account.AllScopes(), s) {
			t.Errorf("an API key may have %s", s)
		}
		if account.Viewer.Allows(s) || account.Billing.Allows(s) || !account.Owner.Allows(s) ||
			!account.Admin.Allows(s) {
			t.Errorf("%s", s)
		}
	}
	if account.Role("root").Scopes() != nil || account.Role("").Allows(account.ReadOffers) {
		t.Error("a word that is no role allows something")
	}
}

func TestService_SetRole_OwnersOnly(t *testing.T) {
	engines(t, func(w world) {
		owner, admin := w.as(w.mine, account.Owner, "owner@example.com"), w.as(w.mine, account.Admin,
			"admin@example.com")
		member, stranger := w.as(w.mine, account.Member, "member@example.com"), w.as(w.theirs, account.Owner,
			"stranger@example.com")
		for name, err := range map[string]error{
			"an admin makes an owner": func() error {
				_, err := w.setRole(w.mine, admin.ID, member.ID,
					account.Owner)
				return err
			}(),
			"an admin promotes themselves": func() error {
				_, err := w.setRole(w.mine, admin.ID, admin.ID,
					account.Owner)
				return err
			}(),
			"an admin unmakes an owner": func() error {
				_, err := w.setRole(w.mine, admin.ID, owner.ID,
					account.Member)
				return err
			}(),
			"an admin removes an owner": w.remove(w.mine, admin.ID, owner.ID),
			"a member removes a member": w.remove(w.mine, member.ID, admin.ID),
			"a stranger":                w.remove(w.mine, stranger.ID, member.ID),
		} {
			if err == nil || apierr.CodeOf(err) != apierr.InsufficientScope {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, err := range []error{w.remove(w.mine, owner.ID, stranger.ID),
			w.remove(w.mine, owner.ID, "usr_none"), w.remove(w.mine, owner.ID, "usr_\x00")} {
			w.fails(err, apierr.NotFound)
		}
		_, err := w.setRole(w.mine, owner.ID, member.ID, "root")
		w.fails(err, apierr.InvalidRequest)
		w.fails(w.remove(w.mine, owner.ID, owner.ID), apierr.Conflict)
		_, err = w.setRole(w.mine, owner.ID, owner.ID, account.Admin)
		w.fails(err, apierr.Conflict)
		m, err := w.setRole(w.mine, owner.ID, admin.ID, account.Owner)
		if err != nil || m.Role != account.Owner || m.Email != admin.Email {
			t.Fatalf("%+v %v", m, err)
		}
		_, err = w.setRole(w.mine, owner.ID, owner.ID, account.Viewer) // now that there is another one
		w.ok(err)
		_, err = w.setRole(w.mine, owner.ID, member.ID, account.Viewer)
		w.fails(err, apierr.InsufficientScope) // the role counts as it is now
	})
}

func TestService_RemoveMember_LastOwners(t *testing.T) {
	engines(t, func(w world) {
		for range 5 {
			of := w.account("contested")
			a, b := w.as(of, account.Owner, string(of)+"a@example.com"), w.as(of, account.Owner,
				string(of)+"b@example.com")
			var gone atomic.Int32
			var wg sync.WaitGroup
			for _, p := range []account.User{a, b} {
				wg.Go(func() {
					if err := w.remove(of, p.ID, p.ID); err == nil {
						gone.Add(1)
					} else if apierr.CodeOf(err) != apierr.Conflict {
						w.Error(err)
					}
				})
			}
			wg.Wait()
			if gone.Load() != 1 {
				t.Fatalf("%d owners went", gone.Load())
			}
		}
	})
}

func TestService_RemoveMember(t *testing.T) {
	engines(t, func(w world) {
		owner, p := w.as(w.mine, account.Owner, "owner@example.com"), w.as(w.mine, account.Admin, email)
		w.join(w.theirs, p.ID, account.Owner)
		here1, err := w.signIn(email, password, here)
		w.ok(err)
		there, err := w.signIn(email, password, here)
		w.ok(err)
		session, err := w.s.SessionOf(w.Context(), w.d, there)
		w.ok(err)
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			_, err := w.s.SwitchAccount(ctx, tx, session, w.theirs)
			return err
		}))
		by := &account.Creator{ID: p.ID, Email: p.Email}
		_, mineKey, err := w.makeKey(w.mine, account.KeyRequest{Name: "mine", CreatedBy: by})
		w.ok(err)
		_, theirKey, err := w.makeKey(w.theirs, account.KeyRequest{Name: "theirs", CreatedBy: by})
		w.ok(err)
		_, otherKey := w.key(w.mine)
		token := w.invite(w.mine, p, account.Member, "")
		_, err = w.s.Authenticate(w.Context(), w.d, mineKey, here) // remembered from here on
		w.ok(err)

		w.ok(w.remove(w.mine, owner.ID, p.ID))
		_, err = w.s.SessionOf(w.Context(), w.d, here1)
		w.fails(err, apierr.SignInRequired)
		_, err = w.s.SessionOf(w.Context(), w.d, there)
		w.ok(err)
		_, err = w.s.Authenticate(w.Context(), w.d, mineKey, here)
		w.fails(err, apierr.RevokedAPIKey)
		for _, k := range []string{theirKey, otherKey} {
			_, err = w.s.Authenticate(w.Context(), w.d, k, here)
			w.ok(err)
		}
		_, err = w.s.ViewInvitation(w.Context(), w.d, token, here)
		w.fails(err, apierr.NotFound)
		if home, found, err := w.s.HomeOf(w.Context(), w.d, p.ID); err != nil || !found || home != w.theirs {
			t.Errorf("%s %t %v", home, found, err)
		}

		// A user without an account cannot sign in, and learns why only with the right password.
		w.join(w.theirs, owner.ID, account.Owner)
		w.ok(w.remove(w.theirs, owner.ID, p.ID))
		_, err = w.signIn(email, password, here)
		w.fails(err, apierr.InsufficientScope)
		_, err = w.signIn(email, "wrong password", here)
		w.fails(err, apierr.SignInFailed)
	})
}

func TestService_Memberships(t *testing.T) {
	engines(t, func(w world) {
		p := w.as(w.mine, account.Viewer, email)
		other := w.account("unrelated")
		w.join(w.theirs, p.ID, account.Admin)
		w.fails(w.tx(func(ctx context.Context, tx *db.Tx) error {
			return w.s.AddMember(ctx, tx, w.theirs, p.ID, account.Owner)
		}), apierr.Conflict)
		token, err := w.signIn(email, password, here)
		w.ok(err)
		n, err := w.s.SessionOf(w.Context(), w.d, token)
		if err != nil || n.Account != w.mine || n.Role != account.Viewer {
			t.Fatalf("%+v %v", n, err)
		}
		all, err := w.s.Memberships(w.Context(), w.d, p.ID)
		if err != nil || !slices.Equal(all, []account.Membership{{ID: w.mine, Name: "mine", Role: account.Viewer},
			{ID: w.theirs, Name: "theirs", Role: account.Admin}}) {
			t.Errorf("%+v %v", all, err)
		}
		move := func(to id.ID) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error {
				_, err := w.s.SwitchAccount(ctx, tx, n, to)
				return err
			})
		}
		for _, no := range []id.ID{other, "acc_none", "acc_\x00", ""} {
			w.fails(move(no), apierr.NotFound)
		}
		w.ok(move(w.theirs))
		for _, s := range []string{token, func() string {
			s, err := w.signIn(email, password,
				here)
			w.ok(err)
			return s
		}()} { // the next one begins there, too
			if n, err := w.s.SessionOf(w.Context(), w.d, s); err != nil || n.Account != w.theirs ||
				n.Role != account.Admin {
				t.Errorf("%+v %v", n, err)
			}
		}
		list, total, err := w.s.ListMembers(w.Context(), w.d, w.theirs, db.Page{Number: 1, Limit: 10})
		if err != nil || total.Total != 1 || list[0].LastSeenAt == nil || list[0].Role != account.Admin ||
			list[0].Email != email {
			t.Errorf("%+v %v", list, err)
		}
	})
}

func TestService_Sessions_OtherUser(t *testing.T) {
	engines(t, func(w world) {
		p, stranger := w.as(w.mine, account.Owner, email), w.as(w.mine, account.Owner, "eve@example.com")
		var tokens []string
		var ids []id.ID
		for range 3 {
			token, err := w.signIn(email, password, here)
			w.ok(err)
			n, err := w.s.SessionOf(w.Context(), w.d, token)
			w.ok(err)
			tokens, ids = append(tokens, token), append(ids, n.ID)
		}
		end := func(who, session id.ID) error {
			return w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.EndSession(ctx, tx, who, session) })
		}
		w.fails(end(stranger.ID, ids[0]), apierr.NotFound)
		w.fails(end(p.ID, "ses_\x00"), apierr.NotFound)
		w.ok(end(p.ID, ids[0]))
		w.fails(end(p.ID, ids[0]), apierr.NotFound)
		_, err := w.s.SessionOf(w.Context(), w.d, tokens[0])
		w.fails(err, apierr.SignInRequired)
		if list, total, err := w.s.ListSessions(w.Context(), w.d, p.ID,
			db.Page{Number: 1, Limit: 1}); err != nil || total.Total != 2 || len(list) != 1 ||
			list[0].Address != here.String() {
			t.Errorf("%+v of %d, %v", list, total.Total, err)
		}
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error { return w.s.EndOtherSessions(ctx, tx, p.ID, ids[2]) }))
		_, err = w.s.SessionOf(w.Context(), w.d, tokens[1])
		w.fails(err, apierr.SignInRequired)
		_, err = w.s.SessionOf(w.Context(), w.d, tokens[2])
		w.ok(err)
		w.c.Advance(account.SessionIdle)
		if _, total, err := w.s.ListSessions(w.Context(), w.d, p.ID, db.Page{Number: 1, Limit: 10}); err != nil ||
			total.Total != 0 {
			t.Errorf("%d sessions that have ended are listed, %v", total.Total, err)
		}
	})
}

func TestService_Begin_EndsPreviousSession(t *testing.T) {
	engines(t, func(w world) {
		w.as(w.mine, account.Owner, email)
		before, err := w.signIn(email, password, here)
		w.ok(err)
		proof, err := w.s.Verify(w.Context(), email, password, "", account.Source{Address: here})
		w.ok(err)
		var after account.SignedIn
		w.ok(w.tx(func(ctx context.Context, tx *db.Tx) error {
			after, err = w.s.Begin(ctx, tx, proof, account.Origin{UserAgent: "a\x00b\u202e\xff" +
				string(make([]byte, 5000))}, before)
			return err
		}))
		_, err = w.s.SessionOf(w.Context(), w.d, before)
		w.fails(err, apierr.SignInRequired)
		if n, err := w.s.SessionOf(w.Context(), w.d, after.Token); err != nil || n.UserAgent != "ab" ||
			after.Token == before {
			t.Errorf("%q %v", n.UserAgent, err)
		}
		if _, err := w.begin(account.Proof{}); apierr.CodeOf(err) != apierr.SignInFailed {
			t.Errorf("a proof of nothing: %v", err)
		}
	})
}

// A member whose role denies API keys keeps none and creates none, also at the moment of the
// change.
func TestService_SetRole_RevokesKeys(t *testing.T) {
	engines(t, func(w world) {
		owner, p := w.as(w.mine, account.Owner, "owner@example.com"), w.as(w.mine, account.Admin, email)
		w.join(w.theirs, p.ID, account.Owner)
		by := &account.Creator{ID: p.ID, Email: p.Email}
		_, secret, err := w.makeKey(w.mine, account.KeyRequest{Name: "mine", CreatedBy: by})
		w.ok(err)
		_, elsewhere, err := w.makeKey(w.theirs, account.KeyRequest{Name: "theirs", CreatedBy: by})
		w.ok(err)
		_, err = w.setRole(w.mine, owner.ID, p.ID, account.Member)
		w.ok(err)
		_, err = w.s.Authenticate(w.Context(), w.d, secret,
			here) // a member makes keys, too; and it is remembered from here on
		w.ok(err)
		_, err = w.setRole(w.mine, owner.ID, p.ID, account.Viewer)
		w.ok(err)
		_, err = w.s.Authenticate(w.Context(), w.d, secret, here)
		w.fails(err, apierr.RevokedAPIKey)
		_, err = w.s.Authenticate(w.Context(), w.d, elsewhere, here)
		w.ok(err)
		_, _, err = w.makeKey(w.mine, account.KeyRequest{Name: "late", CreatedBy: by})
		w.fails(err, apierr.InsufficientScope)

		for n := range 5 {
			p := w.as(w.mine, account.Member, string(rune('a'+n))+"@example.com")
			var late string
			var refused error
			var wg sync.WaitGroup
			wg.Go(func() {
				_, late, refused = w.makeKey(w.mine, account.KeyRequest{Name: "late",
					CreatedBy: &account.Creator{ID: p.ID, Email: p.Email}})
			})
			wg.Go(func() {
				if err := w.remove(w.mine, owner.ID, p.ID); err != nil {
					w.Error(err)
				}
			})
			wg.Wait()
			if refused != nil {
				w.fails(refused, apierr.InsufficientScope)
				continue
			}
			_, err = w.s.Authenticate(w.Context(), w.d, late, here)
			w.fails(err, apierr.RevokedAPIKey)
		}
	})
}
