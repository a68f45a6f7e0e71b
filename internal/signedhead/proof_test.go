package signedhead_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/job"
	"github.com/billetcloud/billet/internal/signedhead"
)

// fields are encoded as docs/ledger.md says.
func fields(all ...any) string {
	var b strings.Builder
	for _, f := range all {
		text := fmt.Sprint(f)
		fmt.Fprintf(&b, "%d:%s,", len(text), text)
	}
	return b.String()
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return string(sum[:])
}

// TestCovering_isAProof verifies each head with nothing but docs/ledger.md.
func TestCovering_isAProof(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for i, account := range r.accounts {
			for day := range min(i+1, 3) {
				h, found, err := signedhead.Covering(t.Context(), d, account, int64(2*day+1))
				if err != nil || !found {
					t.Fatal(found, err)
				}
				node := digest("\x00" + fields(h.Account, h.Seq, h.Hash))
				for _, step := range h.Path {
					other, err := hex.DecodeString(step.Hash)
					if err != nil {
						t.Fatal(err)
					}
					switch step.Side {
					case signedhead.Left:
						node = digest("\x01" + string(other) + node)
					case signedhead.Right:
						node = digest("\x01" + node + string(other))
					}
				}
				if h.Root != hex.EncodeToString([]byte(node)) {
					t.Errorf("account %d: the path of %s does not lead to its root: %+v", i, h.Day, h)
				}
				public, err := base64.StdEncoding.DecodeString(h.PublicKey)
				signature, err2 := base64.StdEncoding.DecodeString(h.Signature)
				text := fields("billet-ledger-day-1", h.Day, h.Previous, h.Root, h.Accounts, h.Transactions, h.KeyID)
				if err != nil || err2 != nil || !ed25519.Verify(public, []byte(text), signature) ||
					h.KeyID != hex.EncodeToString([]byte(digest(string(public))))[:16] {
					t.Errorf("account %d: the signature of %s is not that of its statement: %+v", i, h.Day, h)
				}
			}
		}
	})
}

// TestCovering_needsStatementAndKey finds no proof where half of it is missing.
func TestCovering_needsStatementAndKey(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		for _, table := range []string{"signed_head_key", "signed_head_day"} {
			if err := r.exec(`DELETE FROM ` + table); err != nil {
				t.Fatal(err)
			}
			if _, found, err := signedhead.Covering(t.Context(), d, r.accounts[0], 1); err != nil || found {
				t.Errorf("without %s: found = %t, %v", table, found, err)
			}
		}
	})
}

// TestCovering_refusesChangedHeads gives no proof of heads that are not those that were signed.
func TestCovering_refusesChangedHeads(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		if err := r.exec(`UPDATE signed_head SET hash = 'x' WHERE account_id = $1`, string(r.accounts[1])); err != nil {
			t.Fatal(err)
		}
		_, found, err := signedhead.Covering(t.Context(), d, r.accounts[0], 1)
		if err == nil || found {
			t.Errorf("found = %t, %v, want an error", found, err)
		}
	})
}

// TestPublicKeys lists the keys, and the newest statement is of the newest of them.
func TestPublicKeys(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		first, err := r.signed.PublicKeys(t.Context(), d)
		if err != nil || len(first) != 1 || !first[0].CreatedAt.Equal(dbtest.Start) {
			t.Fatalf("%+v, %v", first, err)
		}
		r.signed = signedhead.New(signedhead.Config{DB: d, Jobs: job.NewQueue(r.ids), Secrets: box(t)})
		r.sign()
		all, err := r.signed.PublicKeys(t.Context(), d)
		if err != nil || len(all) != 2 || all[1] != first[0] || !all[0].CreatedAt.Equal(c.Now()) {
			t.Fatalf("%+v, %v, want another one before %+v", all, err, first)
		}
		for _, k := range all {
			public, err := base64.StdEncoding.DecodeString(k.Public)
			if err != nil || k.ID != hex.EncodeToString([]byte(digest(string(public))))[:16] {
				t.Errorf("%+v: the id is not that of the public key", k)
			}
		}
		day, found, err := r.signed.Newest(t.Context(), d)
		if err != nil || !found || day.KeyID != all[0].ID || day.Day != c.Now().Format("2006-01-02") {
			t.Errorf("the newest statement is %+v, %t, %v", day, found, err)
		}
	})
}

// TestVerifyFindsOldHeads adds a head of the day that was signed on a day before: the problem names
// the head, not only its day.
func TestVerifyFindsOldHeads(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		err := r.exec(`INSERT INTO signed_head (day, account_id, seq, hash)
			SELECT (SELECT MAX(day) FROM signed_head), account_id, seq, hash FROM wallet_transaction
			WHERE account_id = $1 AND seq = 1`, string(r.accounts[0]))
		if err != nil {
			t.Fatal(err)
		}
		v := r.verified(signedhead.VerifyOptions{Secrets: r.box})
		if len(v.Problems) != 2 || v.Problems[0].Table != "signed_head" || v.Problems[0].Account != r.accounts[0] ||
			v.Problems[0].Problem != "is not newer than the account's head before it" {
			t.Errorf("problems: %v", v.Problems)
		}
	})
}

// TestVerifyFindsACutOffHistory removes an account's newest transactions, which leaves the rest of
// its hashes in order.
func TestVerifyFindsACutOffHistory(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.accounts[4] // which has a head on each of three days
		for _, text := range []string{
			`DELETE FROM wallet_entry WHERE transaction_id IN
				(SELECT id FROM wallet_transaction WHERE account_id = $1 AND seq > 4)`,
			`DELETE FROM wallet_transaction WHERE account_id = $1 AND seq > 4`,
		} {
			if err := r.exec(text, string(account)); err != nil {
				t.Fatal(err)
			}
		}
		v := r.verified(signedhead.VerifyOptions{Secrets: r.box})
		if len(v.Problems) != 1 || v.Problems[0].Account != account || v.Problems[0].Seq != 6 ||
			!strings.Contains(v.Problems[0].Problem, "its transaction is missing") {
			t.Errorf("problems: %v", v.Problems)
		}
	})
}

// TestVerifyNamesAChangedKey says that the key was changed, not only that signatures do not match.
func TestVerifyNamesAChangedKey(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		for _, set := range []string{`public_key = 'x'`, `public_key = 'AAAA'`, `id = 'x'`} {
			r := newRig(t, d, c)
			if err := r.exec(`UPDATE signed_head_key SET ` + set); err != nil {
				t.Fatal(err)
			}
			v := r.verified(signedhead.VerifyOptions{Secrets: r.box})
			if len(v.Keys) != 0 || len(v.Problems) != 4 || v.Problems[0].Table != "signed_head_key" ||
				!strings.Contains(v.Problems[0].Problem, "was changed") {
				t.Errorf("%s: %+v", set, v)
			}
			for _, table := range []string{"signed_head", "signed_head_day", "signed_head_key"} {
				if err := r.exec(`DELETE FROM ` + table); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
