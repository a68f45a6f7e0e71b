package app

import (
	"context"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/audit"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/mail"
)

// record writes an operator's command to an account's audit log.
func (o *Operator) record(ctx context.Context, tx *db.Tx, of id.ID, action string, subject id.ID) error {
	actor := audit.Actor{Kind: audit.Operator, Name: "operator"}
	return o.Audit.Append(ctx, tx, audit.Entry{Account: of, Actor: actor, Action: action, Subject: subject})
}

// recordForOperators writes a command on the host, which concerns no account, to the audit log of
// the account of each operator: there they find what operators did.
func (o *Operator) recordForOperators(
	ctx context.Context, tx *db.Tx, action string, subject id.ID, detail string,
) error {
	homes, err := o.Accounts.OperatorHomes(ctx, tx)
	if err != nil || len(homes) == 0 {
		return err
	}
	var all []audit.Entry
	for _, home := range homes {
		all = append(all, audit.Entry{
			Account: home, Actor: audit.Actor{Kind: audit.Operator, Name: "operator"}, Action: action, Subject: subject,
			Detail: detail,
		})
	}
	return o.Audit.Append(ctx, tx, all...)
}

// CreateUser creates a user with a role in an account.
func (o *Operator) CreateUser(
	ctx context.Context, of id.ID, role account.Role, r account.UserRequest,
) (account.User, error) {
	var p account.User
	n, err := o.Accounts.Prepare(ctx, r)
	if err != nil {
		return p, err
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := o.Accounts.Get(ctx, tx, of); err != nil {
			return err
		}
		if p, err = o.Accounts.CreateUser(ctx, tx, n, of, role); err != nil {
			return err
		}
		return o.record(ctx, tx, of, "createUser", p.ID)
	})
	return p, err
}

// byOperator returns the mail about an operator's change of how a user signs in.
func (o *Operator) byOperator(tx *db.Tx, kind mail.Kind, p account.User, what string) mail.Message {
	return mail.Message{
		Kind: kind, Cause: string(o.IDs.New(id.Request)), To: p.Email,
		Data: map[string]string{"at": mail.Text(tx.Now), "address": "", "what": what},
	}
}

// SetPassword changes a user's password and ends all their sessions.
func (o *Operator) SetPassword(ctx context.Context, email, password string) (account.User, error) {
	hash, err := o.Accounts.HashPassword(ctx, "password", password)
	if err != nil {
		return account.User{}, err
	}
	return o.changeUser(ctx, email, "setPassword", func(ctx context.Context, tx *db.Tx, p account.User) error {
		if err := o.Accounts.SetPassword(ctx, tx, p.ID, hash, ""); err != nil {
			return err
		}
		return o.Mail.Enqueue(ctx, tx, o.byOperator(tx, mail.PasswordChanged, p, ""))
	})
}

// ResetFactors removes a user's authenticator app and passkeys.
func (o *Operator) ResetFactors(ctx context.Context, email string) (account.User, error) {
	return o.changeUser(ctx, email, "resetFactors", func(ctx context.Context, tx *db.Tx, p account.User) error {
		if err := o.Accounts.RemoveFactors(ctx, tx, p.ID); err != nil {
			return err
		}
		return o.Mail.Enqueue(ctx, tx,
			o.byOperator(tx, mail.SecondFactorChanged, p, "The operator removed your authenticator app and passkeys"))
	})
}

// SetOperator makes a user an operator, or no longer.
func (o *Operator) SetOperator(ctx context.Context, email string, operator bool) (account.User, error) {
	p, err := o.changeUser(ctx, email, "setOperator", func(ctx context.Context, tx *db.Tx, p account.User) error {
		return o.Accounts.SetOperator(ctx, tx, p.ID, operator)
	})
	p.Operator = operator
	return p, err
}

func (o *Operator) changeUser(
	ctx context.Context, email, action string, change func(ctx context.Context, tx *db.Tx, p account.User) error,
) (p account.User, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if p, err = o.Accounts.UserByEmail(ctx, tx, email); err != nil {
			return err
		}
		if err := change(ctx, tx, p); err != nil {
			return err
		}
		home, _, err := o.Accounts.HomeOf(ctx, tx, p.ID)
		if err != nil {
			return err
		}
		return o.record(ctx, tx, home, action, p.ID)
	})
	return p, err
}

// DeleteUser deletes what a user signs in with and is known by, and the emails that were sent to
// them. An account whose only owner they are must be suspended, with nothing running and a balance
// of zero.
func (o *Operator) DeleteUser(ctx context.Context, email string) (p account.User, err error) {
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if p, err = o.Accounts.UserByEmail(ctx, tx, email); err != nil {
			return err
		}
		accounts, err := o.Accounts.DeleteUser(ctx, tx, p, o.closable)
		if err != nil {
			return err
		}
		for _, of := range accounts {
			if err := o.record(ctx, tx, of, "deleteUser", p.ID); err != nil {
				return err
			}
		}
		if err := o.recordForOperators(ctx, tx, "deleteUser", p.ID, ""); err != nil {
			return err
		}
		return o.Mail.Forget(ctx, tx, p.Email)
	})
	return p, err
}

// closable returns CONFLICT unless the account can be left without an owner.
func (o *Operator) closable(ctx context.Context, tx *db.Tx, of id.ID) error {
	a, err := o.Console.Account(ctx, tx, of)
	if err != nil {
		return err
	}
	var open []string
	if a.SuspendedAt == nil {
		open = append(open, "it is not suspended (`billetd account suspend`)")
	}
	if a.RunningDeployments > 0 || a.HourlyCost != 0 {
		open = append(open, "machines or volumes are running")
	}
	if a.Balance != 0 || a.Held != 0 {
		open = append(open, "its balance is "+a.Balance.String())
	}
	if len(open) == 0 {
		return nil
	}
	return apierr.New(apierr.Conflict, "The user is the only owner of the account %s, and %s. Make another member its "+
		"owner, or settle that first.", of, strings.Join(open, ", and "))
}
