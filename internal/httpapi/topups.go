package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/billetcloud/billet/internal/account"
	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/invoice"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/payment"
	"github.com/billetcloud/billet/internal/payment/transfer"
	"github.com/billetcloud/billet/internal/rest"
)

// topUps are how an account pays in money.
type topUps struct {
	db       *db.DB
	svc      *payment.Service
	receipts *invoice.Service
	log      *slog.Logger
}

func (h topUps) routes(r *rest.Router) {
	const all, auto, methods = Base + "/wallet/top-ups", Base + "/wallet/auto-top-up", Base + "/wallet/payment-methods"
	op := func(method, path, id string, scope account.Scope, summary, description string) rest.Operation {
		return rest.Operation{
			Method: method, Path: path, ID: id, Tag: tagWallet, Scope: string(scope), Summary: summary,
			Description: description,
		}
	}
	create := op(http.MethodPost, all, "createTopUp", account.WriteWallet, "Create a top-up",
		"Returns `checkoutUrl`, the page to pay on. If it is null, the payment processor did not answer in time: "+
			"get the top-up again. The money is credited once the processor confirms the payment, which can take "+
			"days for some methods. An account can have 20 pending top-ups.")
	create.Status, create.ExtraTime = http.StatusCreated, payment.CallTime
	create.Errors = []apierr.Code{apierr.Conflict, apierr.LimitReached, apierr.AccountSuspended}
	rest.WriteThen(r, create, h.create, h.open)
	rest.List(r, op(http.MethodGet, all, "listTopUps", account.ReadWallet, "List top-ups", "Newest first."), h.list)
	rest.Read(r, op(http.MethodGet, all+"/{id}", "getTopUp", account.ReadWallet, "Get a top-up", ""), h.get)
	receipt := op(http.MethodGet, all+"/{id}/receipt", "getTopUpReceipt", account.ReadWallet, "Get a receipt",
		"States what was paid, or with `refund` what was returned; not a tax document. It is made when it is first "+
			"read, and has the same bytes from then on. CONFLICT before the money is credited.")
	receipt.Media, receipt.Errors = []string{"text/html", "application/pdf"}, []apierr.Code{apierr.Conflict}
	rest.CustomRead[receiptQuery, invoice.Receipt](r, receipt, h.receipt)
	rest.Read(r, op(http.MethodGet, auto, "getAutoTopUp", account.ReadWallet, "Get the automatic top-up",
		"Shows when the account is topped up automatically. Off by default."), h.automatic)
	set := op(http.MethodPut, auto, "setAutoTopUp", account.WriteWallet, "Set the automatic top-up",
		"Charges the newest saved payment method when the available balance falls below `threshold`. It stops "+
			"after three failures in a row, immediately for a card that will never work, and when a payment is "+
			"disputed. Set it again to restart it. A key that has spending limits cannot set it.")
	set.Errors = []apierr.Code{apierr.Conflict, apierr.KeyLimitReached}
	rest.Write(r, set, h.setAutomatic)
	rest.List(r, op(http.MethodGet, methods, "listPaymentMethods", account.ReadWallet, "List saved payment methods",
		"Newest first. A top-up with `savePaymentMethod` saves one."), h.methods)
	rest.Write(r, op(http.MethodDelete, methods+"/{id}", "deletePaymentMethod", account.WriteWallet,
		"Delete a saved payment method", "Returns the deleted payment method. Automatic top-ups stop if it was the "+
			"last one."), h.removeMethod)
}

type createTopUp struct {
	Body struct {
		Amount            money.Micros `json:"amount" example:"50" doc:"US dollars, without fractions of a cent. The operator sets the minimum and maximum."`
		ReturnURL         string       `json:"returnUrl,omitempty" maxLength:"2000" doc:"URL to return to after payment, with the query parameter topUp added; the wallet if omitted."`
		SavePaymentMethod bool         `json:"savePaymentMethod,omitempty" doc:"Whether to save the payment method for automatic top-ups."`
	}
}

type topUpPath struct {
	ID id.ID `path:"id" doc:"Id of the top-up, top_…"`
}

type topUpsQuery struct {
	rest.Paging
	Status payment.Status `query:"status" doc:"Top-ups with this status."`
}

func (h topUps) create(ctx context.Context, tx *db.Tx, c *rest.Call, in *createTopUp) (payment.TopUp, error) {
	b := &in.Body
	made, err := h.svc.Create(ctx, tx, c.Caller.Account, creatorOf(c), payment.Request{
		Amount: b.Amount, ReturnURL: b.ReturnURL, SaveMethod: b.SavePaymentMethod,
	})
	c.Created(made.ID)
	return made, err
}

// open makes the page after the commit. A request that asks for a page waits for it, unlike one
// that asks for a machine.
func (h topUps) open(ctx context.Context, c *rest.Call, kept payment.TopUp) (payment.TopUp, error) {
	return h.svc.Open(ctx, c.Caller.Account, kept.ID)
}

func (h topUps) list(
	ctx context.Context, c *rest.Call, in *topUpsQuery, p db.Page,
) ([]payment.TopUp, db.Listed, error) {
	return h.svc.List(ctx, h.db, c.Caller.Account, in.Status, p)
}

func (h topUps) get(ctx context.Context, c *rest.Call, in *topUpPath) (payment.TopUp, error) {
	return h.svc.Get(ctx, h.db, c.Caller.Account, in.ID)
}

type receiptQuery struct {
	topUpPath
	Refund id.ID          `query:"refund" maxLength:"40" doc:"Id of a refund of the top-up, ref_…, whose receipt is wanted."`
	Format invoice.Format `query:"format" enum:"json,html,pdf" doc:"json if omitted."`
}

func (h topUps) receipt(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, in *receiptQuery, invalid []apierr.FieldError,
) (rest.Answer, error) {
	if err := apierr.Invalid(invalid).OrNil(); err != nil {
		return rest.Answer{}, err
	}
	t, err := h.svc.Get(ctx, h.db, c.Caller.Account, in.ID)
	if err != nil {
		return rest.Answer{}, err
	}
	p, err := paymentOf(t, in.Refund)
	if err != nil {
		return rest.Answer{}, err
	}
	f := in.Format
	if f == "" {
		f = invoice.JSON
	}
	content, err := h.receipts.Receipt(ctx, p, f)
	if err != nil {
		return rest.Answer{}, err
	}
	if f == invoice.JSON {
		return c.Data(json.RawMessage(content)), nil
	}
	sendFile(w, f.MediaType(), fmt.Sprintf("receipt-%s.%s", p.ID, f), content)
	return rest.Answer{}, nil
}

// paidBy are the names of processors for users.
var paidBy = map[string]string{"stripe": "Stripe", payment.Transfer: "Bank transfer", payment.Demo: "Simulated payment"}

// paymentOf returns the payment that a top-up or one of its refunds is.
func paymentOf(t payment.TopUp, refund id.ID) (invoice.Payment, error) {
	if t.Received == 0 || t.CompletedAt == nil {
		return invoice.Payment{}, apierr.New(apierr.Conflict,
			"The top-up is %s: there is a receipt once its money is credited.", t.Status)
	}
	p := invoice.Payment{
		ID: t.ID, TopUp: t.ID, Account: t.Account, Amount: t.Received, How: t.Processor, At: t.CompletedAt.UTC(),
	}
	if name, known := paidBy[t.Processor]; known {
		p.How = name
	}
	if refund == "" {
		return p, nil
	}
	for _, f := range t.Refunds {
		if f.ID == refund {
			p.ID, p.Amount, p.At, p.Reason = f.ID, f.Amount, f.At.UTC(), f.Reason
			return p, nil
		}
	}
	return p, apierr.New(apierr.NotFound,
		"No refund of this top-up has this id. Its refunds are in GET /wallet/top-ups/{id}.")
}

func (h topUps) automatic(ctx context.Context, c *rest.Call, _ *rest.NoInput) (payment.AutoTopUp, error) {
	return h.svc.Automatic(ctx, h.db, c.Caller.Account)
}

type setAutoTopUp struct {
	Body struct {
		Enabled      bool         `json:"enabled" doc:"Whether it is on."`
		Threshold    money.Micros `json:"threshold" example:"25" doc:"US dollars: below this available balance the account is topped up."`
		Amount       money.Micros `json:"amount" example:"100" doc:"US dollars of each automatic top-up."`
		MonthlyLimit money.Micros `json:"monthlyLimit" example:"1000" doc:"Maximum US dollars of automatic top-ups in a month (UTC), at least amount."`
	}
}

func (h topUps) setAutomatic(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *setAutoTopUp,
) (payment.AutoTopUp, error) {
	if err := unlimitedKey(ctx, tx, c, "set the automatic top-up"); err != nil {
		return payment.AutoTopUp{}, err
	}
	b := &in.Body
	return h.svc.SetAutomatic(ctx, tx, c.Caller.Account, creatorOf(c), payment.AutoTopUpRequest{
		Enabled: b.Enabled, Threshold: b.Threshold, Amount: b.Amount, MonthlyLimit: b.MonthlyLimit,
	})
}

// methods lists all of them on pages: they are few.
func (h topUps) methods(
	ctx context.Context, c *rest.Call, _ *rest.Paging, p db.Page,
) ([]payment.PaymentMethod, db.Listed, error) {
	all, err := h.svc.Methods(ctx, h.db, c.Caller.Account)
	from := min(p.Offset(), len(all))
	return all[from:min(from+p.Limit, len(all))], db.All(len(all)), err
}

type paymentMethodPath struct {
	ID id.ID `path:"id" doc:"Id of the payment method, pmt_…"`
}

func (h topUps) removeMethod(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *paymentMethodPath,
) (payment.PaymentMethod, error) {
	return h.svc.RemoveMethod(ctx, tx, c.Caller.Account, in.ID)
}

// operatorTopUps are the top-ups of all accounts, for the operator.
type operatorTopUps struct {
	db  *db.DB
	svc *payment.Service
	// transfers knows by which transfer of the bank a top-up was confirmed.
	transfers *transfer.Processor
}

func (h operatorTopUps) routes(r *rest.Router) {
	const all = OperatorBase + "/top-ups"
	rest.List(r, rest.Operation{
		Method: http.MethodGet, Path: all, ID: "listAllTopUps", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "List all top-ups",
		Description: "Top-ups of all accounts, newest first.",
	}, h.list)
	rest.Read(r, rest.Operation{
		Method: http.MethodGet, Path: all + "/{id}", ID: "getAnyTopUp", Tag: tagOperator, Auth: rest.OperatorOnly,
		Scope: string(account.ReadOperator), Summary: "Get a top-up of any account",
		Description: "With its refunds and disputes, and how much of it can be refunded now.",
	}, h.get)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/{id}/confirm", ID: "confirmTopUp", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Confirm a bank transfer",
		Description: "Credits the amount that arrived, once. Repeating the same confirmation changes nothing. A " +
			"different one is a CONFLICT, as is a bank reference that confirmed another top-up. A transfer that " +
			"arrives after its top-up has expired can also be confirmed.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.confirm)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/{id}/refund", ID: "refundTopUp", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Status: http.StatusCreated,
		Summary: "Refund a top-up",
		Description: "Deducts the amount from the wallet and returns it to the payment method that paid. At most " +
			"the unspent part of the top-up can be refunded: credits that expire are spent first, other money in " +
			"the order in which it arrived. If the processor refuses, the amount is returned to the wallet. A " +
			"refund of a bank transfer is only recorded: transfer the money at your bank. The customer sees the " +
			"reason.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.refund)
	rest.Write(r, rest.Operation{
		Method: http.MethodPost, Path: all + "/{id}/close", ID: "closeTopUp", Tag: tagOperator,
		Auth: rest.OperatorOnly, Scope: string(account.WriteOperator), Summary: "Close a top-up",
		Description: "Closes a top-up whose money was paid but not credited, as stated in its `problem`. The " +
			"top-up fails with the reason, which the customer sees, and its issue is closed. First refund the " +
			"money at the processor or add it as credit. Money is never credited to a closed top-up: if more " +
			"arrives, it is another `problem`.",
		Errors: []apierr.Code{apierr.Conflict},
	}, h.close)
}

type allTopUpsQuery struct {
	rest.Paging
	Account   id.ID          `query:"account" maxLength:"40" doc:"Id of the account, acc_…"`
	Status    payment.Status `query:"status" doc:"Top-ups with this status."`
	Processor string         `query:"processor" enum:"stripe,transfer,demo" doc:"Top-ups that are paid this way."`
	Reference string         `query:"reference" maxLength:"200" doc:"Top-up with this reference of the processor, or of the bank transfer, whose spaces and case do not matter."`
	Problem   bool           `query:"problem" doc:"true: only top-ups whose money is not credited, for a reason in problem."`
}

// Check refuses what is not the id of an account.
func (q allTopUpsQuery) Check() []apierr.FieldError {
	return append(q.Paging.Check(), checkAccountFilter(q.Account)...)
}

func (h operatorTopUps) list(
	ctx context.Context, _ *rest.Call, in *allTopUpsQuery, p db.Page,
) ([]payment.OperatorTopUp, db.Listed, error) {
	return h.svc.ListAll(ctx, h.db, payment.Filter{
		Account: in.Account, Status: in.Status, Processor: in.Processor, Reference: in.Reference, Problem: in.Problem,
	}, p)
}

// topUpDetails are a top-up with what the bank calls its transfer.
type topUpDetails struct {
	payment.Details
	BankReference string `json:"bankReference" doc:"Bank's own reference of the transfer that confirmed it; empty for others."`
}

func (h operatorTopUps) get(ctx context.Context, _ *rest.Call, in *topUpPath) (out topUpDetails, err error) {
	err = h.db.View(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		if out.Details, err = h.svc.GetAny(ctx, tx, in.ID); err == nil && out.Processor == payment.Transfer {
			out.BankReference, err = h.transfers.BankReference(ctx, tx, in.ID)
		}
		return err
	})
	return out, err
}

type confirmTopUp struct {
	topUpPath
	Body struct {
		Amount    money.Micros `json:"amount" example:"50" doc:"US dollars that have arrived."`
		Reference string       `json:"reference" minLength:"1" maxLength:"100" doc:"The bank's own reference of the transfer. Each confirms one top-up."`
	}
}

func (h operatorTopUps) confirm(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *confirmTopUp,
) (payment.OperatorTopUp, error) {
	t, err := h.svc.ConfirmTransfer(ctx, tx, in.ID, in.Body.Amount, in.Body.Reference)
	c.Change.Subject, c.Change.Account = t.ID, t.AccountID
	return t, err
}

type refundTopUp struct {
	topUpPath
	Body struct {
		Amount money.Micros `json:"amount" example:"25" doc:"US dollars, without fractions of a cent."`
		Reason string       `json:"reason" minLength:"1" maxLength:"200" doc:"Reason, shown to the customer."`
	}
}

func (h operatorTopUps) refund(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *refundTopUp,
) (payment.RefundView, error) {
	f, err := h.svc.Refund(ctx, tx, in.ID, in.Body.Amount, in.Body.Reason)
	c.Change.Subject, c.Change.Account = f.TopUpID, f.AccountID
	return f, err
}

type closeTopUp struct {
	topUpPath
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"Reason, shown to the customer."`
	}
}

func (h operatorTopUps) close(
	ctx context.Context, tx *db.Tx, c *rest.Call, in *closeTopUp,
) (payment.OperatorTopUp, error) {
	t, err := h.svc.Close(ctx, tx, in.ID, in.Body.Reason)
	c.Change.Subject, c.Change.Account = t.ID, t.AccountID
	return t, err
}
