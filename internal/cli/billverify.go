package cli

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/billetcloud/billet/client"
)

// billVerifier recomputes a statement from what the file says, and from docs/ledger.md. It shares
// no code with the server.
type billVerifier struct {
	bill verifiedBill
	key  string // that must have signed, or ""

	seq       int64 // of the last transaction or link
	hash      string
	available client.Money
	balance   client.Money
	linked    bool // links or the head came
	signed    bool
}

func (v *billVerifier) say(format string, args ...any) {
	if len(v.bill.Problems) < maxBillProblems {
		v.bill.Problems = append(v.bill.Problems, fmt.Sprintf(format, args...))
	}
}

func (v *billVerifier) record(n int, r *client.LedgerRecord) error {
	switch r.Record {
	case "statement":
		if n > 1 {
			return fmt.Errorf("line %d begins another statement", n)
		}
		v.bill.Account = r.Account
	case "transaction":
		if v.linked {
			v.say("Line %d: a transaction follows the proof of its signature.", n)
		}
		v.transaction(r)
	case "link":
		v.linked = true
		if r.Seq != v.seq+1 || v.seq == 0 || chainHash(v.hash, r.Digest) != r.Hash {
			v.say("Seq %d: the link does not follow seq %d.", r.Seq, v.seq)
		}
		v.seq, v.hash = r.Seq, r.Hash
	case "head":
		v.linked = true
		v.head(r)
	default:
		return fmt.Errorf("line %d has the unknown record %q", n, r.Record)
	}
	return nil
}

func (v *billVerifier) transaction(r *client.LedgerRecord) {
	where := fmt.Sprintf("Seq %d, %s", r.Seq, r.ID)
	first := v.bill.Transactions == 0
	if first {
		// What came before an interval is not in the file; its last hash is.
		v.bill.FirstSeq, v.seq, v.hash = r.Seq, r.Seq-1, r.PreviousHash
		v.available = r.AvailableAfter - r.Amount
		v.balance = r.BalanceAfter - balanceChange(r)
		if r.Seq == 1 && (r.PreviousHash != "" || v.available != 0 || v.balance != 0) {
			v.say("%s: the first transaction must begin with no money and no hash.", where)
		}
	}
	if r.Seq != v.seq+1 {
		v.say("%s: follows seq %d; transactions are missing, or in another order.", where, v.seq)
	}
	if r.PreviousHash != v.hash {
		v.say("%s: the hash of the transaction before it is another one.", where)
	}
	if got := chainHash(r.PreviousHash, transactionDigest(v.bill.Account, r)); got != r.Hash {
		v.say("%s: was changed; its hash is not that of its fields.", where)
	}
	v.available += r.Amount
	v.balance += balanceChange(r)
	if v.available != r.AvailableAfter || v.balance != r.BalanceAfter {
		v.say("%s: the balances do not follow from those before it.", where)
	}
	if text := wrongAmount(r); text != "" {
		v.say("%s: %s", where, text)
	}
	v.entries(where, r)
	switch r.Type {
	case client.TransactionCharge:
		v.bill.Charges -= r.Amount
	case client.TransactionRefund:
		v.bill.Refunds += r.Amount
	case client.TransactionTopUp, client.TransactionCredit, client.TransactionAdjustment:
		v.bill.PaidIn += r.Amount
	case client.TransactionHold, client.TransactionRelease: // move money within the wallet
	}
	v.seq, v.hash, v.available, v.balance = r.Seq, r.Hash, r.AvailableAfter, r.BalanceAfter
	v.bill.Transactions++
	v.bill.LastSeq = r.Seq
}

// balanceChange is what a transaction changes of the balance: holds stay in it.
func balanceChange(r *client.LedgerRecord) client.Money {
	if r.Type == client.TransactionHold || r.Type == client.TransactionRelease {
		return 0
	}
	return r.Amount
}

func (v *billVerifier) entries(where string, r *client.LedgerRecord) {
	other := "funding"
	switch r.Type {
	case client.TransactionHold, client.TransactionRelease:
		other = "hold/" + v.bill.Account
	case client.TransactionCharge, client.TransactionRefund:
		other = "revenue"
	case client.TransactionTopUp, client.TransactionCredit, client.TransactionAdjustment:
	}
	own := client.LedgerEntry{Book: "wallet/" + v.bill.Account, Amount: r.Amount}
	opposite := client.LedgerEntry{Book: other, Amount: -r.Amount}
	if len(r.Entries) != 2 || r.Entries[0] != own || r.Entries[1] != opposite {
		v.say("%s: its entries are not its amount and the opposite.", where)
	}
}

// wrongAmount recomputes a charge or refund: rate × seconds / 3600, rounded half-up to the
// micro-dollar.
func wrongAmount(r *client.LedgerRecord) string {
	if r.Type != client.TransactionCharge && r.Type != client.TransactionRefund {
		return ""
	}
	if r.From == nil || r.To == nil || r.HourlyPrice == nil || r.Rounding == nil || *r.Rounding != "half-up" {
		return "has no interval, rate or rounding that is known here."
	}
	seconds := int64(r.To.Sub(*r.From) / time.Second)
	if seconds <= 0 || seconds > 3600 || *r.HourlyPrice < 0 {
		return fmt.Sprintf("%d seconds at %s/hr are out of bounds.", seconds, total(*r.HourlyPrice))
	}
	exact := new(big.Int).Mul(big.NewInt(int64(*r.HourlyPrice)), big.NewInt(seconds))
	want := client.Money(exact.Add(exact, big.NewInt(1800)).Div(exact, big.NewInt(3600)).Int64())
	if r.Type == client.TransactionCharge {
		want = -want
	}
	if r.Amount != want {
		return fmt.Sprintf("the amount is %s; %d seconds at %s/hr are %s.", total(r.Amount), seconds,
			total(*r.HourlyPrice), total(want))
	}
	return ""
}

func (v *billVerifier) head(r *client.LedgerRecord) {
	v.signed, v.bill.SignedDay, v.bill.PublicKey = true, r.Day, r.PublicKey
	if r.Account != v.bill.Account || r.Seq != v.seq || r.Hash != v.hash {
		v.say("The signed head is not the last transaction or link.")
	}
	leaf := netstrings([]byte{0}, r.Account, strconv.FormatInt(r.Seq, 10), r.Hash)
	at := sha256.Sum256(leaf)
	for _, step := range r.Path {
		other, err := hex.DecodeString(step.Hash)
		switch {
		case err != nil || len(other) != sha256.Size || step.Side != "left" && step.Side != "right":
			v.say("A step of the path to the signed root is invalid.")
			return
		case step.Side == "left":
			at = sha256.Sum256(append(append([]byte{1}, other...), at[:]...))
		default:
			at = sha256.Sum256(append(append([]byte{1}, at[:]...), other...))
		}
	}
	if hex.EncodeToString(at[:]) != r.Root {
		v.say("The path does not lead from the head to the signed root.")
	}
	public, err := base64.StdEncoding.DecodeString(r.PublicKey)
	signature, wrong := base64.StdEncoding.DecodeString(r.Signature)
	signedText := netstrings(nil, "billet-ledger-day-1", r.Day, r.Previous, r.Root,
		strconv.Itoa(r.Accounts), strconv.Itoa(r.Transactions), r.KeyID)
	if err != nil || wrong != nil || len(public) != ed25519.PublicKeySize ||
		!ed25519.Verify(public, signedText, signature) {
		v.say("The signature of %s is wrong.", r.Day)
	}
	if v.key != "" {
		if v.bill.Trusted = v.key == r.PublicKey; !v.bill.Trusted {
			v.say("The signature is by another key than --public-key.")
		}
	}
}

func (v *billVerifier) end() {
	if v.linked && !v.signed {
		v.say("The file ends before the signed head.")
	}
	if v.key != "" && !v.signed && v.bill.Transactions > 0 {
		v.say("No signature covers these transactions yet. The server signs each day.")
	}
}

// chainHash returns the hash of a transaction from the one before it and the digest of its fields.
func chainHash(previous, digest string) string {
	sum := sha256.Sum256(netstrings(nil, "billet-chain-1", previous, digest))
	return "v1:" + hex.EncodeToString(sum[:])
}

// transactionDigest returns the digest of a transaction's fields.
func transactionDigest(account string, r *client.LedgerRecord) string {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	b := netstrings(nil, "billet-transaction-1", account, number(r.Seq), r.ID, string(r.Type), number(int64(r.Amount)),
		number(int64(r.BalanceAfter)), number(int64(r.AvailableAfter)), r.Description)
	orNull := func(null bool, text func() string) {
		if null {
			b = append(b, "-,"...)
		} else {
			b = netstrings(b, text())
		}
	}
	orNull(r.Subject == nil, func() string { return *r.Subject })
	orNull(r.Hour == nil, func() string { return number(*r.Hour) })
	orNull(r.From == nil, func() string { return number(r.From.UnixMicro()) })
	orNull(r.To == nil, func() string { return number(r.To.UnixMicro()) })
	orNull(r.HourlyPrice == nil, func() string { return number(int64(*r.HourlyPrice)) })
	b = netstrings(b, r.Provider, r.Region, r.GPUType, r.Name)
	orNull(r.Reference == nil, func() string { return *r.Reference })
	b = netstrings(b, number(r.CreatedAt.UnixMicro()))
	for _, e := range r.Entries {
		b = netstrings(b, e.Book, number(int64(e.Amount)))
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// netstrings appends each text with its length in front.
func netstrings(b []byte, texts ...string) []byte {
	for _, text := range texts {
		b = append(strconv.AppendInt(b, int64(len(text)), 10), ':')
		b = append(append(b, text...), ',')
	}
	return b
}
