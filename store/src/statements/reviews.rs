//! The periodic review of the log.

use crate::rows;
use crate::sql::{Connection, Row, params};
use crate::{
    Judgment, NewReview, REVIEW_ITEMS_MAX, REVIEWS_MAX, Review, ReviewFinding, ReviewItem, Signature, Signing,
    StoreProblem, Tally,
};

pub(crate) fn open(c: &Connection, new: &NewReview) -> Result<u64, StoreProblem> {
    if new.items.len() > REVIEW_ITEMS_MAX {
        return Err(StoreProblem::Full);
    }
    let mut insert = c.prepare_cached(
        "insert into reviews (since, until, rules, seed, opened_at, opened_by, due_at)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7) returning number",
    )?;
    let given = params![
        new.since.unix_micros(),
        new.until.unix_micros(),
        new.rules,
        new.seed.cast_signed(),
        new.opened_at.unix_micros(),
        new.opened_by,
        new.due_at.unix_micros(),
    ];
    let number: i64 = insert.query_row(given, |row| row.get(0))?;
    for item in &new.items {
        // A line that two rules drew is looked at once, for the first of them.
        c.prepare_cached(
            "insert into review_items (review, seq, rule) values (?1, ?2, ?3) on conflict (review, seq) do nothing",
        )?
        .execute(params![number, key(item.seq), item.rule])?;
    }
    drop_earliest(c)?;
    Ok(number.unsigned_abs())
}

/// What was signed long ago makes room; what is not signed stays, and where only such are left there is no room.
fn drop_earliest(c: &Connection) -> Result<(), StoreProblem> {
    let count = || -> Result<usize, StoreProblem> {
        let number: i64 = c.prepare_cached("select count(*) from reviews")?.query_row((), |row| row.get(0))?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    };
    let over = count()?.saturating_sub(REVIEWS_MAX);
    if over == 0 {
        return Ok(());
    }
    c.prepare_cached(
        "delete from reviews where number in
             (select number from reviews where signed_at is not null order by number limit ?1)",
    )?
    .execute([i64::try_from(over).unwrap_or(i64::MAX)])?;
    if count()? > REVIEWS_MAX { Err(StoreProblem::Full) } else { Ok(()) }
}

/// A review with how far it is.
const REVIEW: &str = "select r.*, count(i.seq) as items,
        count(*) filter (where i.judgment = 'fine') as fine,
        count(*) filter (where i.judgment = 'ask') as asked,
        count(*) filter (where i.judgment = 'incident') as incidents
    from reviews r left join review_items i on i.review = r.number";

pub(crate) fn list(c: &Connection, most: usize) -> Result<Vec<Review>, StoreProblem> {
    let statement = c.prepare_cached(&format!("{REVIEW} group by r.number order by r.number desc limit ?1"))?;
    rows::all(statement, [i64::try_from(most).unwrap_or(i64::MAX)], read)
}

pub(crate) fn one(c: &Connection, number: u64) -> Result<Option<Review>, StoreProblem> {
    rows::one(c.prepare_cached(&format!("{REVIEW} where r.number = ?1 group by r.number"))?, [key(number)], read)
}

pub(crate) fn items(c: &Connection, number: u64) -> Result<Vec<ReviewItem>, StoreProblem> {
    let statement = c.prepare_cached("select * from review_items where review = ?1 order by seq")?;
    rows::all(statement, [key(number)], read_item)
}

pub(crate) fn judge(c: &Connection, number: u64, seq: u64, finding: &ReviewFinding) -> Result<bool, StoreProblem> {
    let changed = c
        .prepare_cached(
            "update review_items set judgment = ?3, comment = ?4, judged_at = ?5, judged_by = ?6
             where review = ?1 and seq = ?2
               and exists (select 1 from reviews where number = ?1 and signed_at is null)",
        )?
        .execute(params![
            key(number),
            key(seq),
            finding.judgment.as_str(),
            finding.comment,
            finding.at.unix_micros(),
            finding.by,
        ])?;
    Ok(changed > 0)
}

pub(crate) fn sign(c: &Connection, number: u64, signature: &Signature) -> Result<Signing, StoreProblem> {
    let Some(review) = one(c, number)?.filter(|review| review.signature.is_none()) else {
        return Ok(Signing::NotThere);
    };
    if review.tally.open() > 0 {
        return Ok(Signing::Open(review.tally.open()));
    }
    c.prepare_cached("update reviews set signed_at = ?2, signed_by = ?3, comment = ?4 where number = ?1")?
        .execute(params![key(number), signature.at.unix_micros(), signature.by, signature.comment])?;
    Ok(Signing::Done)
}

fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<Review, StoreProblem> {
    let count = |column: &str| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let signed = (rows::moment_or_none(row, "signed_at")?, row.get::<_, Option<String>>("signed_by")?);
    let signature = match signed {
        (Some(at), Some(by)) => {
            Some(Signature { at, by, comment: row.get::<_, Option<String>>("comment")?.unwrap_or_default() })
        }
        (Some(_), None) | (None, _) => None,
    };
    Ok(Review {
        number: count("number")?,
        since: rows::moment(row, "since")?,
        until: rows::moment(row, "until")?,
        rules: row.get("rules")?,
        seed: row.get::<_, i64>("seed")?.cast_unsigned(),
        opened_at: rows::moment(row, "opened_at")?,
        opened_by: row.get("opened_by")?,
        due_at: rows::moment(row, "due_at")?,
        signature,
        tally: Tally {
            items: count("items")?,
            fine: count("fine")?,
            asked: count("asked")?,
            incidents: count("incidents")?,
        },
    })
}

fn read_item(row: &Row) -> Result<ReviewItem, StoreProblem> {
    let judgment = rows::parsed_or_none(row, "judgment", Judgment::parse)?;
    let judged = (judgment, rows::moment_or_none(row, "judged_at")?, row.get::<_, Option<String>>("judged_by")?);
    let finding = match judged {
        (Some(judgment), Some(at), Some(by)) => {
            let comment = row.get::<_, Option<String>>("comment")?.unwrap_or_default();
            Some(ReviewFinding { judgment, comment, at, by })
        }
        (None | Some(_), _, _) => None,
    };
    Ok(ReviewItem { seq: row.get::<_, i64>("seq")?.unsigned_abs(), rule: row.get("rule")?, finding })
}
