terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}
provider "aws" {
  region = "us-east-1"
}

variable "description" {
  default = "first"
}
data "aws_caller_identity" "me" {}
resource "aws_s3_bucket" "b" {
  bucket        = "tf-example-bucket"
  force_destroy = true
  tags          = { a = "b" }
}
resource "aws_s3_bucket_versioning" "v" {
  bucket = aws_s3_bucket.b.id
  versioning_configuration { status = "Enabled" }
}
resource "aws_s3_bucket_server_side_encryption_configuration" "e" {
  bucket = aws_s3_bucket.b.id
  rule {
    apply_server_side_encryption_by_default { sse_algorithm = "AES256" }
  }
}
resource "aws_s3_bucket_public_access_block" "p" {
  bucket                  = aws_s3_bucket.b.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}
resource "aws_s3_bucket_ownership_controls" "o" {
  bucket = aws_s3_bucket.b.id
  rule { object_ownership = "BucketOwnerEnforced" }
}
resource "aws_s3_bucket_policy" "p" {
  bucket = aws_s3_bucket.b.id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ses.amazonaws.com" }, Action = "s3:PutObject", Resource = "${aws_s3_bucket.b.arn}/*", Condition = { StringEquals = { "AWS:SourceAccount" = data.aws_caller_identity.me.account_id } } }]
  })
}
resource "aws_s3_object" "o" {
  bucket  = aws_s3_bucket.b.id
  key     = "dir/hello.txt"
  content = "hello"
  tags    = { x = "y" }
}
resource "aws_iam_role" "r" {
  name                 = "tf-role"
  description          = var.description
  max_session_duration = 7200
  assume_role_policy   = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Principal = { AWS = "arn:aws:iam::${data.aws_caller_identity.me.account_id}:root" }, Action = "sts:AssumeRole" }] })
  tags                 = { k = "v" }
}
resource "aws_iam_role_policy" "rp" {
  role   = aws_iam_role.r.id
  name   = "inline"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "ses:*", Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "a" {
  role       = aws_iam_role.r.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSESFullAccess"
}
resource "aws_ssm_parameter" "s" {
  name  = "/tf/plain"
  type  = "String"
  value = "v"
}
resource "aws_ssm_parameter" "sec" {
  name  = "/tf/secret"
  type  = "SecureString"
  value = "hidden"
}
resource "aws_secretsmanager_secret" "s" {
  name                    = "tf-secret"
  recovery_window_in_days = 0
}
resource "aws_secretsmanager_secret_version" "v" {
  secret_id     = aws_secretsmanager_secret.s.id
  secret_string = "{\"a\":1}"
}

resource "aws_iam_user" "smtp" {
  name          = "tf-smtp"
  force_destroy = true
  tags          = { step = var.description }
}

resource "aws_iam_access_key" "smtp" {
  user = aws_iam_user.smtp.name
}

resource "aws_iam_user_policy" "smtp" {
  user   = aws_iam_user.smtp.name
  name   = "send"
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "ses:SendRawEmail", Resource = "*" }] })
}

resource "aws_route53_zone" "z" {
  name = "tf.example"
}

resource "aws_sesv2_email_identity" "d" {
  email_identity = "tf.example"
}

resource "aws_route53_record" "dkim" {
  count   = 3
  zone_id = aws_route53_zone.z.zone_id
  name    = "${aws_sesv2_email_identity.d.dkim_signing_attributes[0].tokens[count.index]}._domainkey"
  type    = "CNAME"
  ttl     = 300
  records = ["${aws_sesv2_email_identity.d.dkim_signing_attributes[0].tokens[count.index]}.dkim.amazonses.com"]
}

output "username" {
  value = aws_iam_access_key.smtp.id
}

output "password" {
  value     = aws_iam_access_key.smtp.ses_smtp_password_v4
  sensitive = true
}

resource "aws_sesv2_email_identity" "a" {
  email_identity = "me@elsewhere.example"
  tags           = { step = var.description }
}

resource "aws_route53_record" "dmarc" {
  zone_id = aws_route53_zone.z.zone_id
  name    = "_dmarc"
  type    = "TXT"
  ttl     = 300
  records = ["v=DMARC1;p=none", var.description]
}

resource "aws_route53_record" "mx" {
  zone_id = aws_route53_zone.z.zone_id
  name    = ""
  type    = "MX"
  ttl     = 300
  records = ["10 mx.tf.example"]
}

resource "aws_ses_domain_identity" "v1" {
  domain = "v1.example"
}

resource "aws_ses_domain_dkim" "v1" {
  domain = aws_ses_domain_identity.v1.domain
}

resource "aws_ses_domain_mail_from" "v1" {
  domain           = aws_ses_domain_identity.v1.domain
  mail_from_domain = "bounce.v1.example"
}

resource "aws_ses_email_identity" "v1" {
  email = "v1@elsewhere.example"
}
