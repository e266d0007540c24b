// Two identities and two records of a zone that is there: what posts about SES deploy.
import * as cdk from "aws-cdk-lib";
import * as route53 from "aws-cdk-lib/aws-route53";
import * as ses from "aws-cdk-lib/aws-ses";

const domainName = "demosfelipetrindade.top";
const app = new cdk.App();
const stack = new cdk.Stack(app, "SesStack", {
  env: { account: "937168356724", region: "us-east-1" },
});
const zone = route53.HostedZone.fromLookup(stack, "Zone", { domainName });

new ses.EmailIdentity(stack, "EmailIdentity", {
  identity: ses.Identity.email("yourpersonalemail@gmail.com"),
});
new ses.EmailIdentity(stack, "DomainIdentity", {
  identity: ses.Identity.publicHostedZone(zone),
  dkimIdentity: ses.DkimIdentity.easyDkim(ses.EasyDkimSigningKeyLength.RSA_2048_BIT),
  mailFromBehaviorOnMxFailure: ses.MailFromBehaviorOnMxFailure.USE_DEFAULT_VALUE,
  dkimSigning: true,
});
new route53.TxtRecord(stack, "DmarcRecord", {
  zone,
  recordName: "_dmarc",
  values: [process.env.DMARC ?? "v=DMARC1;p=quarantine"],
});
new route53.TxtRecord(stack, "SpfRecord", {
  zone,
  recordName: process.env.SPF_NAME ?? "",
  values: ["v=spf1 include:amazonses.com -all"],
});
cdk.Tags.of(stack).add("CreatedBy", "CDK");
