package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// hiddenIn are characters that are not seen in a name, and what a refusal calls them.
var hiddenIn = map[string]string{
	"safe\u200b": "U+200B at position 5", "safe\U000E0041": "U+E0041 at position 5", "\u202Esafe": "U+202E at " +
		"position 1", "sa\u2060fe": "U+2060 at position 3",
	"sa\ue000fe": "U+E000 at position 3", "safe\u0378": "U+0378 at position 5", "sa\x1bfe": "U+001B at position 3",
}

// Every text of a request that others read, by field and operation, is in one of these lists, and
// so must be a new one.
var (
	shownTexts = []string{
		"name", "accountName", "tags", "project", "description", "note", "reference", "reason", "client_id", "email",
		"ownerEmail", "title", "text", "comment", "bmcUser", "consoleUser", "sshUser", "idleImage", "fabric", "rack",
	}
	// otherTexts are compared with what is known, have a form of their own, or are never shown.
	otherTexts = []string{
		"accountId", "address", "allowedNetworks", "apiKey", "baseUrl", "bmcCertificateSha256", "bmcPassword", "bmcUrl",
		"sshAddress", "sshHostKey", "sshPrivateKey", "serial", "replacement",
		"consoleHostKey", "consolePassword",
		"gateway", "macs", "nameservers", "sha256", "challengeId", "cloudInit", "code", "content",
		"credential", "currentPassword", "deploymentId", "device_code", "gpuType", "gpuTypes", "grant_type",
		"id", "kind", "newPassword",
		"offer", "offerId", "imageId", "operatingSystem", "operation", "password", "provider", "publicKey", "quoteId",
		"region", "regions", "returnUrl", "scope", "seconds", "slug", "solution", "sshKeyId", "sshKeyIds",
		"ssh_public_key", "termsVersion", "to", "token", "types", "url", "userCode", "value", "volumeIds",
	}
)

// textsOfRequests returns the fields of bodies that take any text, as "operation.field".
func textsOfRequests(t *testing.T) map[string]bool {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(Document("test"), &document); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	resolve := func(v map[string]any) map[string]any {
		for v["$ref"] != nil {
			v = dig(document, strings.Split(strings.TrimPrefix(v["$ref"].(string), "#/"), "/")...).(map[string]any)
		}
		return v
	}
	var walk func(schema map[string]any, operation, field string)
	walk = func(schema map[string]any, operation, field string) {
		schema = resolve(schema)
		for _, of := range []string{"anyOf", "oneOf", "allOf"} {
			list, _ := schema[of].([]any)
			for _, one := range list {
				walk(one.(map[string]any), operation, field)
			}
		}
		if properties, is := schema["properties"].(map[string]any); is {
			for name, p := range properties {
				walk(p.(map[string]any), operation, name)
			}
		}
		if items, is := schema["items"].(map[string]any); is {
			walk(items, operation, field)
		}
		text := schema["type"] == "string"
		if list, is := schema["type"].([]any); is {
			text = slices.Contains(list, any("string"))
		}
		if text && schema["enum"] == nil && schema["format"] != "date-time" {
			found[operation+"."+field] = true
		}
	}
	for _, item := range document["paths"].(map[string]any) {
		for _, operation := range item.(map[string]any) {
			o, is := operation.(map[string]any)
			if !is || o["requestBody"] == nil {
				continue
			}
			for _, content := range resolve(o["requestBody"].(map[string]any))["content"].(map[string]any) {
				walk(content.(map[string]any)["schema"].(map[string]any), o["operationId"].(string), "")
			}
		}
	}
	return found
}

// isComparedOnly reports whether a text is only compared with what is known.
func isComparedOnly(where, field string) bool {
	return where == "signIn.email" || where == "createDeviceToken.client_id" ||
		strings.HasPrefix(where, "bulkUpdateDeployments.") && field != "tags" || // a filter, as a list's parameters are
		strings.Contains(where, "Budget.") && field != "name" // as is the scope of a budget
}

func TestNoTextThatOthersReadHasHiddenCharacters(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	cookie := header("Cookie", w.signIn(w.ada))
	site := header("Sec-Fetch-Site", "same-origin")
	operator := w.operator()
	deployment := string(w.deploy(w.ada))
	webhook := w.want(201, w.ada, "POST", Base+"/webhooks", map[string]any{"url": "https://hooks.example/x"}).text("id")
	local := func(r *http.Request) { r.Host = "localhost:8080" } // where passkeys work
	invitation := w.want(
		201,
		tenant{},
		"POST",
		AccountBase+"/invitations",
		map[string]string{"role": "member"},
		cookie,
		site,
	)
	_, token, _ := strings.Cut(invitation.text("url"), "#")
	codes := w.authorizeDevice()
	w.open(map[string]any{"policy": "open"})
	w.want(202, tenant{}, "POST", registrationsPath, w.register("eve@example.net"))
	registration := w.mailedToken("/sign-up/complete")
	with := func(body map[string]any, field string, text any) map[string]any {
		body = maps.Clone(body)
		body[field] = text
		return body
	}
	volume := map[string]any{"name": "v", "sizeGb": 100, "provider": "voltage-park", "region": "dallas-usa-5"}
	made := w.want(201, w.ada, "POST", Base+"/volumes", volume).text("id")
	budget := w.want(201, w.ada, "POST", Base+"/budgets", map[string]any{"name": "b", "period": "day", "amount": 9}).
		text("id")
	type body = map[string]any
	notice := body{"title": "Maintenance", "endsAt": w.clock.Now().Add(time.Hour)}
	added := w.want(201, operator, "POST", OperatorBase+"/machines", aServer("1"))
	machine := OperatorBase + "/machines/" + added.text("id")
	announced := w.want(201, operator, "POST", OperatorBase+"/announcements", notice).text("id")
	calls := map[string]struct {
		who    tenant
		method string
		path   string
		body   body
		field  string // "" for the name of the operation's field
	}{
		"bulkUpdateDeployments.tags": {
			w.ada, "POST", Base + "/deployments/bulk", body{"action": "addTags", "ids": []string{deployment}},
			"tags[0]",
		},
		"createDeployment.name":    {w.ada, "POST", Base + "/deployments", w.seedBody(), ""},
		"createDeployment.project": {w.ada, "POST", Base + "/deployments", w.seedBody(), ""},
		"updateDeployment.project": {w.ada, "PATCH", Base + "/deployments/" + deployment, body{}, ""},
		"createVolume.project":     {w.ada, "POST", Base + "/volumes", volume, ""},
		"updateVolume.project":     {w.ada, "PATCH", Base + "/volumes/" + made, body{}, ""},
		"createApiKey.project":     {tenant{}, "POST", AccountBase + "/api-keys", body{"name": "k"}, ""},
		"createDeployment.tags":    {w.ada, "POST", Base + "/deployments", w.seedBody(), "tags[0]"},
		"updateDeployment.name":    {w.ada, "PATCH", Base + "/deployments/" + deployment, body{}, ""},
		"updateDeployment.tags":    {w.ada, "PATCH", Base + "/deployments/" + deployment, body{}, "tags[0]"},
		"createSshKey.name":        {w.ada, "POST", Base + "/ssh-keys", body{"publicKey": publicKey(t)}, ""},
		"createImage.name":         {w.ada, "POST", Base + "/images", imageBody("x"), ""},
		"renameSshKey.name":        {w.ada, "PATCH", Base + "/ssh-keys/ssh_none", body{}, ""},
		"createVolume.name":        {w.ada, "POST", Base + "/volumes", volume, ""},
		"updateVolume.name":        {w.ada, "PATCH", Base + "/volumes/" + made, body{}, ""},
		"createBudget.name": {
			w.ada, "POST", Base + "/budgets", body{"period": "day", "amount": 10}, "",
		},
		"updateBudget.name": {w.ada, "PATCH", Base + "/budgets/" + budget, body{}, ""},
		"createWebhook.description": {
			w.ada,
			"POST",
			Base + "/webhooks",
			body{"url": "https://hooks.example/x"},
			"",
		},
		"updateWebhook.description": {w.ada, "PATCH", Base + "/webhooks/" + webhook, body{}, ""},
		"createApiKey.name":         {tenant{}, "POST", AccountBase + "/api-keys", body{}, ""},
		"updateApiKey.name":         {tenant{}, "PATCH", AccountBase + "/api-keys/key_none", body{}, ""},
		"updateMe.name":             {tenant{}, "PATCH", AccountBase + "/me", body{}, ""},
		"addPasskey.name": {
			tenant{},
			"POST",
			AccountBase + "/me/passkeys",
			body{"challengeId": "chl_none", "credential": body{"id": "x"}},
			"",
		},
		"renamePasskey.name": {tenant{}, "PATCH", AccountBase + "/me/passkeys/psk_none", body{}, ""},
		"createInvitation.email": {
			tenant{},
			"POST",
			AccountBase + "/invitations",
			body{"role": "member"},
			"",
		},
		"acceptInvitation.name": {
			tenant{},
			"POST",
			AccountBase + "/invitations/accept",
			body{"token": token, "email": "eve@example.com", "password": goodPassword},
			"",
		},
		"acceptInvitation.email": {
			tenant{},
			"POST",
			AccountBase + "/invitations/accept",
			body{"token": token, "name": "Eve", "password": goodPassword},
			"",
		},
		"createDeviceAuthorization.client_id": {tenant{}, "POST", authorizePath, body{}, ""},
		"approveDeviceAuthorization.name":     {tenant{}, "POST", approvePath, body{"userCode": codes.user}, ""},
		"createAccount.name":                  {operator, "POST", OperatorBase + "/accounts", body{}, ""},
		"creditAccount.note": {
			operator,
			"POST",
			OperatorBase + "/accounts/" + string(w.ada.account) + "/credit",
			body{"amount": 1},
			"",
		},
		"creditAccount.reference": {
			operator,
			"POST",
			OperatorBase + "/accounts/" + string(w.ada.account) + "/credit",
			body{"amount": 1},
			"",
		},
		"creditAccount.reason": {
			operator, "POST", OperatorBase + "/accounts/" + string(w.ada.account) + "/credit", body{"amount": 1}, "",
		},
		"approveAdjustment.comment": {operator, "POST", OperatorBase + "/adjustments/adj_none/approve", body{}, ""},
		"rejectAdjustment.comment":  {operator, "POST", OperatorBase + "/adjustments/adj_none/reject", body{}, ""},
		"createRegistration.email": {
			tenant{}, "POST", registrationsPath,
			body{"solution": w.solution("registration")}, "",
		},
		"createPasswordReset.email": {
			tenant{}, "POST", AccountBase + "/password-resets", body{"solution": w.solution("password-reset")}, "",
		},
		"verifyRegistration.name": {
			tenant{}, "POST", registrationsPath + "/verify", body{"token": registration, "password": goodPassword}, "",
		},
		"verifyRegistration.accountName": {
			tenant{}, "POST", registrationsPath + "/verify", body{"token": registration, "password": goodPassword}, "",
		},
		"createFirstOperator.email": {
			tenant{}, "POST", setupPath + "/operator", body{"code": "x", "name": "Ada", "password": goodPassword}, "",
		},
		"createFirstOperator.name": {
			tenant{}, "POST", setupPath + "/operator",
			body{"code": "x", "email": "ada@example.com", "password": goodPassword}, "",
		},
		"createAccount.ownerEmail": {operator, "POST", OperatorBase + "/accounts", body{"name": "a"}, ""},
		"inviteAccountOwner.email": {
			operator, "POST", OperatorBase + "/accounts/" + string(w.bob.account) + "/invitations", body{}, "",
		},
		"inviteUser.email": {operator, "POST", OperatorBase + "/registrations", body{}, ""},
		"createProviderAccount.name": {
			operator, "POST", OperatorBase + "/provider-accounts", body{"kind": "voltage-park", "apiKey": "k"}, "",
		},
		"updateProviderAccount.name": {operator, "PATCH", OperatorBase + "/provider-accounts/none", body{}, ""},
		"suspendAccount.reason": {
			operator, "POST", OperatorBase + "/accounts/" + string(w.bob.account) + "/suspend",
			body{"terminate": "never"}, "",
		},
		"startAccountView.reason": {
			operator, "POST", OperatorBase + "/accounts/" + string(w.ada.account) + "/view", body{}, "",
		},
		"terminateAnyDeployment.reason": {
			operator, "POST", OperatorBase + "/deployments/" + deployment + "/terminate", body{}, "",
		},
		"createAnnouncement.title":  {operator, "POST", OperatorBase + "/announcements", notice, ""},
		"createAnnouncement.text":   {operator, "POST", OperatorBase + "/announcements", notice, ""},
		"updateAnnouncement.title":  {operator, "PATCH", OperatorBase + "/announcements/" + announced, body{}, ""},
		"updateAnnouncement.text":   {operator, "PATCH", OperatorBase + "/announcements/" + announced, body{}, ""},
		"createMachine.name":        {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"createMachine.bmcUser":     {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"createMachine.consoleUser": {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"createMachine.fabric":      {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"createMachine.rack":        {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"updateMachine.name":        {operator, "PATCH", machine, body{}, ""},
		"updateMachine.bmcUser":     {operator, "PATCH", machine, body{}, ""},
		"updateMachine.consoleUser": {operator, "PATCH", machine, body{}, ""},
		"updateMachine.fabric":      {operator, "PATCH", machine, body{}, ""},
		"createMachine.sshUser":     {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"createMachine.idleImage":   {operator, "POST", OperatorBase + "/machines", aServer("2"), ""},
		"updateMachine.sshUser":     {operator, "PATCH", machine, body{}, ""},
		"updateMachine.idleImage":   {operator, "PATCH", machine, body{}, ""},
		"updateMachine.rack":        {operator, "PATCH", machine, body{}, ""},
		"drainMachine.reason":       {operator, "POST", machine + "/drain", body{}, ""},
		"inspectMachine.reason":     {operator, "POST", machine + "/inspect", body{}, ""},
		"validateMachine.reason":    {operator, "POST", machine + "/validate", body{}, ""},
		"releaseMachine.reason":     {operator, "POST", machine + "/release", body{}, ""},
		"setMachineImage.name": {
			operator, "POST", OperatorBase + "/machine-images",
			body{
				"url": "https://images.example.com/x", "sha256": strings.Repeat("ab", 32), "format": "raw", "bytes": 1,
			}, "",
		},
		"destroyMachineDrive.reason": {operator, "POST", machine + "/destroy-drive", body{"serial": "S1"}, ""},
		"quarantineMachine.reason":   {operator, "POST", machine + "/quarantine", body{}, ""},
		"confirmTopUp.reference": {
			operator, "POST", OperatorBase + "/top-ups/top_none/confirm", body{"amount": 50}, "",
		},
		"refundTopUp.reason": {operator, "POST", OperatorBase + "/top-ups/top_none/refund", body{"amount": 50}, ""},
		"closeTopUp.reason":  {operator, "POST", OperatorBase + "/top-ups/top_none/close", body{}, ""},
		"createServiceCredit.note": {operator, "POST", OperatorBase + "/service-credits", body{
			"deploymentId": deployment, "from": "2028-03-01T00:00:00Z", "to": "2028-03-01T01:00:00Z", "failedGpus": 1,
		}, ""},
		"rejectServiceCredit.reason": {
			operator, "POST", OperatorBase + "/service-credits/svc_none/reject", body{}, "",
		},
		"adoptIssueMachine.name": {
			operator, "POST", OperatorBase + "/issues/iss_none/adopt",
			body{"accountId": "acc_none", "offerId": "off_none"}, "",
		},
		"dismissIssue.note": {
			operator,
			"POST",
			OperatorBase + "/issues/iss_none/dismiss",
			body{},
			"",
		},
	}
	for where := range textsOfRequests(t) {
		_, field, _ := strings.Cut(where, ".")
		if isComparedOnly(where, field) || slices.Contains(otherTexts, field) ||
			strings.HasPrefix(where, "updateSettings.") || // TestNoSettingHasHiddenCharacters
			slices.Contains(invoiceOperations, strings.TrimSuffix(where, "."+field)) {
			continue
		}
		c, tested := calls[where]
		if !tested || !slices.Contains(shownTexts, field) {
			t.Errorf("%s is a text that this test does not know", where)
			continue
		}
		fault := field
		if c.field != "" {
			fault = c.field
		}
		for text, want := range hiddenIn {
			var value any = text
			if c.field != "" {
				value = []string{text}
			}
			if field == "email" || field == "ownerEmail" {
				value = text + "@example.com"
			}
			options := []option{}
			if c.who.secret == "" && where != "createDeviceAuthorization.client_id" &&
				!strings.HasPrefix(where, "acceptInvitation") {
				options = []option{cookie, site, local}
			}
			r := w.do(c.who, c.method, c.path, with(c.body, field, value), options...)
			fields := r.fields()
			if fault == "client_id" { // OAuth names it in the description
				fields = []string{strings.SplitN(fmt.Sprint(r.error["error_description"]), ":", 2)[0]}
			}
			if r.status != http.StatusBadRequest || !slices.Contains(fields, fault) ||
				!strings.Contains(string(r.body), want) {
				t.Errorf("%s with %q: %d %s, want %q for %s", where, text, r.status, r.body, want, fault)
			}
		}
	}
}

func TestTextsOfSSHKeys(t *testing.T) {
	w := newWorld(t)
	w.configure(func(c *Config) { c.Limiter = allowAll{} })
	// Visible characters are accepted.
	for _, name := range []string{"训练 🤖", "می\u200cخواهم", "👩🏽\u200d🔬 ❤️"} {
		w.want(201, w.ada, "POST", Base+"/ssh-keys", map[string]any{"name": name, "publicKey": publicKey(t)})
	}
	// A comment of an SSH key is shown, too.
	for text := range hiddenIn {
		r := w.refused(
			"INVALID_REQUEST",
			w.ada,
			"POST",
			Base+"/ssh-keys",
			map[string]any{"name": "c", "publicKey": strings.TrimSuffix(publicKey(t), "user@machine") + text},
		)
		same(t, "fields", r.fields(), []string{"publicKey"})
	}
}

// aServer is a server of the operator. n is a digit.
func aServer(n string) map[string]any {
	return map[string]any{
		"name": "gpu-" + n, "bmcUrl": "https://10.0.0." + n, "bmcUser": "billet", "bmcPassword": "pw",
		"macs": []string{"3c:ec:ef:00:00:0" + n}, "address": "192.0.2." + n + "/24", "region": "oslo-1",
		"gpuType": "NVIDIA H100", "gpuCount": 8, "gpuMemoryGb": 80,
	}
}
