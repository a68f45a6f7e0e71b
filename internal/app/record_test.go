package app

import (
	"testing"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/settings"
)

// What a command on the host lets one operator do alone is in the audit logs of operators, who
// cannot do it themselves. What only restricts them is not.
func TestRaisedApprovalIsInTheAuditLogsOfOperators(t *testing.T) {
	each(t, func(t *testing.T, c Config) {
		o, err := OpenOperator(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = o.Close() }()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		home, err := o.CreateAccount(t.Context(), "Operators", 0)
		must(err)
		tenant, err := o.CreateAccount(t.Context(), "Tenant", 0)
		must(err)
		owners := map[id.ID]string{home.ID: "ada@example.com", tenant.ID: "bob@example.com"}
		for of, email := range owners {
			_, err := o.CreateUser(t.Context(), of, account.Owner,
				account.UserRequest{Email: email, Password: "correct horse battery"})
			must(err)
		}
		_, err = o.SetOperator(t.Context(), "ada@example.com", true)
		must(err)
		for _, amount := range []money.Micros{100 * money.USD, 50 * money.USD, 200 * money.USD, 0, 10 * money.USD} {
			_, err := o.ChangeSettings(t.Context(), settings.Change{
				Wallet: settings.WalletRulesChange{ApprovalAbove: &amount},
			})
			must(err)
		}
		page := db.Page{Number: 1, Limit: 10}
		got, _, err := o.Audit.List(t.Context(), o.DB, home.ID, audit.Filter{Action: "updateSettings"}, page)
		must(err)
		const raised = "wallet.approvalAbove was raised from $50.00 to $200.00 on the server's host."
		if len(got) != 2 || got[1].Detail != raised ||
			got[0].Detail != "wallet.approvalAbove was $200.00, and was removed on the server's host." ||
			got[0].Actor.Kind != audit.Operator {
			t.Errorf("%+v", got)
		}
		none, _, err := o.Audit.List(t.Context(), o.DB, tenant.ID, audit.Filter{Action: "updateSettings"}, page)
		must(err)
		if len(none) != 0 {
			t.Errorf("a tenant's log has %+v", none)
		}
	})
}
