package app

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
)

// rowsWith returns the tables that have the text anywhere, with the number of rows.
func rowsWith(t *testing.T, d *db.DB, text string) map[string]int {
	t.Helper()
	list := `SELECT m.name || '.' || c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c
		WHERE m.type = 'table' AND c.type = 'TEXT'`
	if d.Engine() == db.Postgres {
		list = `SELECT table_name || '.' || column_name FROM information_schema.columns
			WHERE table_schema = 'public' AND data_type = 'text'`
	}
	columns, err := db.Collect(t.Context(), d, db.Value[string], list)
	if err != nil || len(columns) < 100 {
		t.Fatalf("%d columns, %v", len(columns), err)
	}
	out := map[string]int{}
	for _, c := range columns {
		table, column, _ := strings.Cut(c, ".")
		n := 0
		query := fmt.Sprintf(`SELECT COUNT(*) FROM %s WHERE LOWER(%s) LIKE $1`, table, column)
		if err := d.QueryRow(t.Context(), query, "%"+text+"%").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			out[c] = n
		}
	}
	return out
}

// A deleted user is in no table by address or name, and the address is free for another user.
func TestOperator_DeleteUser(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		o, err := OpenOperator(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = o.Close() }()
		a, err := o.CreateAccount(t.Context(), "Lab", money.Dollars(5))
		if err != nil {
			t.Fatal(err)
		}
		request := account.UserRequest{
			Email: "zelda@example.com", Name: "Zelda Quux", Password: "correct horse battery",
		}
		if _, err := o.CreateUser(t.Context(), a.ID, account.Owner, request); err != nil {
			t.Fatal(err)
		}
		if len(rowsWith(t, o.DB, "zelda")) == 0 {
			t.Fatal("the user is nowhere")
		}
		_, err = o.DeleteUser(t.Context(), request.Email)
		if err == nil || apierr.CodeOf(err) != apierr.Conflict || !strings.Contains(err.Error(), "balance is $5.00") ||
			!strings.Contains(err.Error(), "not suspended") {
			t.Fatalf("the only owner of an account in use: %v", err)
		}
		if err := o.DB.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			if _, err := tx.Exec(ctx, `UPDATE account SET suspended_at = 1 WHERE id = $1`, a.ID); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `UPDATE wallet SET available = 0 WHERE account_id = $1`, a.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		p, err := o.DeleteUser(t.Context(), request.Email)
		if err != nil || p.Email != request.Email {
			t.Fatalf("%+v, %v", p, err)
		}
		for _, text := range []string{"zelda", "quux"} {
			if left := rowsWith(t, o.DB, text); len(left) != 0 {
				t.Errorf("%q is still in %v", text, left)
			}
		}
		if rowsWith(t, o.DB, "deleteuser")["audit.action"] != 1 {
			t.Error("the audit log does not say so")
		}
		if _, err := o.DeleteUser(t.Context(), request.Email); err == nil || apierr.CodeOf(err) != apierr.NotFound {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := o.CreateUser(t.Context(), a.ID, account.Owner, request); err != nil {
			t.Errorf("the address is not free: %v", err)
		}
	})
}
