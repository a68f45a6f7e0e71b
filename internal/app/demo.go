package app

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/money"
)

// Demo is the content of demo.json: the credentials of the demo account.
type Demo struct {
	URL      string `json:"url"`
	Email    string `json:"email"`
	Password string `json:"password"`
	APIKey   string `json:"apiKey"`
}

const demoFile = "demo.json"

// demoCredit is the initial credit of the demo account.
var demoCredit = money.Dollars(1000)

// ensureDemo creates the demo account unless the one in demo.json works, and keeps the URL in the
// file current. The file is written before the commit: after a crash between the two its key is
// unknown, and the next start creates the account again.
func ensureDemo(ctx context.Context, o *Operator, dir, url string) (Demo, error) {
	path := filepath.Join(dir, demoFile)
	var d Demo
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err == nil {
		if _, err := o.Accounts.Authenticate(ctx, o.DB, d.APIKey, netip.IPv6Loopback()); err == nil {
			// made before there were operators
			if p, err := o.Accounts.UserByEmail(ctx, o.DB, d.Email); err == nil && !p.Operator {
				if _, err := o.SetOperator(ctx, d.Email, true); err != nil {
					return d, err
				}
			}
			if d.URL == url {
				return d, nil
			}
			d.URL = url
			return d, d.write(path)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return d, fmt.Errorf("%s: %w", demoFile, err)
	}
	d = Demo{URL: url, Password: rand.Text(), Email: "demo@billet.test"}
	// of an earlier demo account whose file was deleted
	if _, err := o.Accounts.UserByEmail(ctx, o.DB, d.Email); err == nil {
		d.Email = "demo+" + strings.ToLower(rand.Text()[:8]) + "@billet.test"
	}
	n, err := o.Accounts.Prepare(ctx, account.UserRequest{Email: d.Email, Name: "Demo", Password: d.Password,
		Operator: true})
	if err != nil {
		return d, err
	}
	err = o.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		a, err := o.Console.CreateAccount(ctx, tx, "Demo", demoCredit)
		if err != nil {
			return err
		}
		if _, err := o.Accounts.CreateUser(ctx, tx, n, a.ID, account.Owner); err != nil {
			return err
		}
		if _, d.APIKey, err = o.Accounts.CreateKey(ctx, tx, a.ID,
			account.KeyRequest{Name: "demo", Scopes: account.KeyScopes()}); err != nil {
			return err
		}
		return d.write(path)
	})
	return d, err
}

// demoPassword is what the sign-in page may have on this machine; "" where its other users could do
// harm with it: simulated machines that are not isolated have all rights of the server's user, and
// real providers cost money.
func (a *App) demoPassword() string {
	if !a.cfg.Sim || a.unisolated {
		return ""
	}
	return a.demo.Password
}

func (d Demo) write(path string) error {
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(b, '\n'))
}
