package account_test

import (
	"context"
	"errors"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// After the deletion of a user nothing lets them in: no password, session, key or link. An account
// whose only owner they are is asked about first.
func TestService_DeleteUser(t *testing.T) {
	engines(t, func(w world) {
		p, _, _ := w.withTOTP()
		w.as(w.mine, account.Owner, "other@example.com")
		third := w.account("third")
		host := w.as(third, account.Owner, "host@example.com")
		w.join(w.theirs, p.ID, account.Owner)
		_, secret, err := w.makeKey(w.theirs, account.KeyRequest{
			Name: "ci", CreatedBy: &account.Creator{ID: p.ID, Email: p.Email},
		})
		w.ok(err)
		open := w.invite(third, host, account.Member, p.Email)
		mine := w.invite(w.mine, p, account.Member, "new@example.com")
		asked := []id.ID{}
		remove := func(p account.User, answer error) (accounts []id.ID, err error) {
			err = w.tx(func(ctx context.Context, tx *db.Tx) (err error) {
				accounts, err = w.s.DeleteUser(ctx, tx, p, func(_ context.Context, _ *db.Tx, account id.ID) error {
					asked = append(asked, account)
					return answer
				})
				return err
			})
			return accounts, err
		}
		inUse := errors.New("in use")
		if _, err := remove(p, inUse); !errors.Is(err, inUse) || len(asked) != 1 || asked[0] != w.theirs {
			t.Fatalf("%v, asked about %v", err, asked)
		}
		operator := p
		operator.Operator = true
		_, err = remove(operator, nil)
		w.fails(err, apierr.Conflict)
		if accounts, err := remove(p, nil); err != nil || len(accounts) != 2 {
			t.Fatalf("%v, %v", accounts, err)
		}
		if _, err := w.signIn(p.Email, password, here); err == nil {
			t.Error("the password still works")
		}
		if _, err := w.signIn(string(p.ID), "", here); err == nil {
			t.Error("the id signs in")
		}
		for token, what := range map[string]string{open: "to them", mine: "by them"} {
			if _, _, err := w.acceptAsNew(token, "new@example.com"); err == nil {
				t.Errorf("the invitation %s still works", what)
			}
		}
		left := 0
		w.ok(w.d.QueryRow(w.Context(), `SELECT (SELECT COUNT(*) FROM session WHERE user_id = $1) +
			(SELECT COUNT(*) FROM totp WHERE user_id = $1) + (SELECT COUNT(*) FROM recovery_code WHERE user_id = $1) +
			(SELECT COUNT(*) FROM membership WHERE user_id = $1) +
			(SELECT COUNT(*) FROM api_key WHERE created_by = $1 AND revoked_at IS NULL)`, p.ID).Scan(&left))
		if left != 0 || secret == "" {
			t.Errorf("%d rows are left", left)
		}
		if again := w.user(p.Email, password); again.ID == p.ID {
			t.Error("the address is still the deleted user's")
		}
	})
}
