"""Every database operation that the product uses, on whatever server MONGODB_URI names."""

import pytest
from bson import ObjectId
from mongoengine import NotUniqueError, OperationError

from database.conformance import NEEDS, problem_with
from database.models import DOCUMENTS, Mail, Session, User
from services.outbox import AT_ONCE, claims
from tests.conftest import ADA, at_once

# Milliseconds: of a number that is set, the embedded database keeps 15 digits.
NOW = 1_700_000_000.123
AWKWARD = ["", "nul\0inside", "ünïcödé", "🐎🔋", "$dollar.dot", "'\"\\;--", "a\nb", "x" * 10_000]


@pytest.fixture(autouse=True)
def _indexes(documents):
    for document in DOCUMENTS:
        document.ensure_indexes()


@pytest.fixture
def user():
    sessions = {sid: Session(created_at=NOW, last_used_at=NOW) for sid in ("a", "b", "c")}
    return User(**ADA, created_at=NOW, sessions=sessions).save(force_insert=True)


def stored():
    return User.objects.get()


def session(user, sid="a", generation=0):
    query = {"_id": user.id, f"sessions.{sid}.generation": generation}
    return User.objects(__raw__=query)


def refresh(query, at=NOW + 1):
    update = {
        "$inc": {"sessions.a.generation": 1},
        "$set": {"sessions.a.last_used_at": at, "sessions.a.rotated.g0": at},
        "$unset": {"sessions.a.rotated.g-8": 1},
    }
    return query.modify(new=True, __raw__=update)


def wish(due_at=NOW, **fields):
    mail = Mail(kind="reset", email=ADA["email"], created_at=NOW, due_at=due_at, **fields)
    return mail.save(force_insert=True)


def test_an_index_is_created_again_without_harm(user):
    User.ensure_indexes()
    Mail.ensure_indexes()
    assert stored() == user
    with pytest.raises(NotUniqueError):
        User(**ADA).save(force_insert=True)


def test_an_insert_is_read_back_whole(user):
    assert stored().to_mongo() == user.to_mongo()


def test_an_insert_of_a_value_that_is_unique_and_taken_raises_and_stores_nothing(user):
    with pytest.raises(NotUniqueError):
        User(email=ADA["email"], password="another").save(force_insert=True)
    assert [found.password for found in User.objects] == [ADA["password"]]


def test_a_change_to_a_value_that_is_unique_and_taken_raises_and_changes_nothing(user):
    eve = User(email="eve@example.com", password="x").save(force_insert=True)
    with pytest.raises(OperationError):
        User.objects(id=eve.id).update_one(set__email=ADA["email"])
    assert [found.email for found in User.objects.order_by("id")] == [user.email, eve.email]


def test_a_document_is_found_by_its_unique_field(user):
    User(email="eve@example.com", password="x").save(force_insert=True)
    assert User.objects(email=ADA["email"]).first() == user
    assert User.objects(email="ada@example.co").first() is None


@pytest.mark.parametrize("kind", [str, ObjectId])
def test_a_document_is_found_by_its_id(user, kind):
    User(email="eve@example.com", password="x").save(force_insert=True)
    assert User.objects(id=kind(user.id)).first() == user
    assert User.objects(id=kind(ObjectId())).first() is None


def test_a_filter_names_the_id_and_a_dotted_path_and_leaves_the_map_out(user):
    found = session(user, "b").exclude("sessions").first()
    assert (found.id, found.email, found.created_at) == (user.id, user.email, NOW)
    assert found.sessions == {}
    assert session(user, "b").first().sessions.keys() == {"a", "b", "c"}


def test_the_map_is_read_alone(user):
    found = User.objects(id=user.id).only("sessions").as_pymongo().first()
    assert found["sessions"] == user.to_mongo()["sessions"]
    assert User.objects(id=ObjectId()).only("sessions").as_pymongo().first() is None


@pytest.mark.parametrize(
    "changed",
    [{"sid": "d"}, {"generation": 1}, {"user": User(id=ObjectId())}],
    ids=["session", "generation", "id"],
)
def test_a_filter_that_differs_in_one_point_finds_and_changes_nothing(user, changed):
    query = session(**{"user": user} | changed)
    before = stored().to_mongo()
    assert query.first() is None
    assert query.update_one(__raw__={"$unset": {"sessions.a": 1}}) == 0
    assert refresh(query) is None
    assert stored().to_mongo() == before


def test_one_update_sets_a_sub_document_and_unsets_others(user):
    new = Session(created_at=NOW, last_used_at=NOW, generation=3)
    update = {"$set": {"sessions.d": new.to_mongo()}, "$unset": {"sessions.a": 1, "sessions.c": 1}}
    query = User.objects(id=user.id, password_version=0)
    assert query.update_one(__raw__=update) == 1
    assert stored().sessions.keys() == {"b", "d"}
    assert stored().sessions["d"] == new
    assert session(user, "d", 3).first() == user


def test_one_update_counts_sets_and_unsets_dotted_paths_and_returns_the_new_document(user):
    User.objects.update_one(__raw__={"$set": {"sessions.a.rotated": {"g-8": NOW, "g-7": NOW}}})
    returned = refresh(session(user))
    assert returned.to_mongo() == stored().to_mongo()
    a = stored().sessions["a"]
    assert (a.generation, a.last_used_at, a.created_at) == (1, NOW + 1, NOW)
    assert a.rotated == {"g-7": NOW, "g0": NOW + 1}
    assert stored().sessions["b"].generation == 0
    assert session(user, generation=0).first() is None
    assert session(user, generation=1).first() == user


def test_a_session_is_unset_while_it_is_at_a_generation(user):
    update = {"$unset": {"sessions.a": 1}}
    assert session(user).update_one(__raw__=update) == 1
    assert session(user).update_one(__raw__=update) == 0
    assert stored().sessions.keys() == {"b", "c"}


def test_one_update_sets_counts_and_empties_a_map(user):
    query = User.objects(id=user.id, password_version=0)
    change = {"set__password": "new", "inc__password_version": 1, "set__sessions": {}}
    assert query.update_one(**change) == 1
    assert query.update_one(**change | {"set__password": "newer"}) == 0
    assert (stored().password, stored().password_version) == ("new", 1)
    assert stored().sessions == {}


def test_an_emptied_map_is_filled_again(user):
    User.objects(id=user.id).update_one(set__sessions={})
    new = Session(created_at=NOW, last_used_at=NOW)
    User.objects(id=user.id).update_one(__raw__={"$set": {"sessions.d": new.to_mongo()}})
    assert stored().sessions == {"d": new}


def test_claims_take_what_is_due_and_no_more(clock):
    clock.move_to(NOW)
    due = [wish(NOW - 5), wish(NOW - 7.5), wish(NOW)]
    wish(NOW + 0.001)
    wish(NOW - 9, state=Mail.GIVEN_UP)
    claimed = list(claims())
    assert claimed == [due[1], due[0], due[2]]
    stored = Mail.objects(id__in=[mail.id for mail in due])
    for mails in (claimed, stored):
        assert {(mail.attempts, mail.due_at) for mail in mails} == {(1, NOW + 85)}


def test_claims_take_what_has_been_due_for_longest_first(clock):
    clock.move_to(NOW)
    wishes = [wish(NOW - seconds) for seconds in range(AT_ONCE + 5)]
    assert [mail.id for mail in claims()] == [mail.id for mail in reversed(wishes)]


def test_a_wish_that_another_process_claims_meanwhile_is_its_own(clock):
    clock.move_to(NOW)
    for _ in range(6):
        wish()
    mine, others = claims(), claims()
    taken = [mail.id for pair in zip(mine, others, strict=True) for mail in pair]
    assert len(taken) == len(set(taken)) == 6


def test_a_claim_that_lapses_is_due_again(clock):
    clock.move_to(NOW)
    wish()
    next(claims())
    assert list(claims()) == []
    clock.shift(86)
    assert next(claims()).attempts == 2


def test_what_is_due_is_found_in_order():
    for seconds in (3, -2, 10, -30, 1):
        wish(NOW + seconds)
    due = Mail.objects(state=Mail.WAITING, due_at__lte=NOW + 3).order_by("due_at")
    assert [mail.due_at - NOW for mail in due] == pytest.approx([-30, -2, 1, 3])


def test_the_oldest_is_found_without_those_of_another_state_or_kind():
    for age, facts in {4: {"state": Mail.GIVEN_UP}, 3: {"kind": "forget"}, 2: {}, 1: {}}.items():
        Mail(**{"kind": "reset", "email": "x", **facts}, created_at=NOW - age, due_at=NOW).save()
    waiting = Mail.objects(state=Mail.WAITING, kind__ne="forget")
    assert waiting.order_by("created_at").only("created_at").first().created_at == NOW - 2
    assert len(list(waiting.only("id").as_pymongo())) == 2
    assert len(list(waiting.only("id").limit(1).as_pymongo())) == 1


def test_a_value_that_is_set_in_an_index_is_found_anew():
    given_up, waiting = wish(), wish()
    assert Mail.objects(id=given_up.id).update_one(set__state=Mail.GIVEN_UP) == 1
    assert list(Mail.objects(state=Mail.WAITING, due_at__lte=NOW)) == [waiting]
    assert list(Mail.objects(state=Mail.GIVEN_UP, due_at__lte=NOW)) == [given_up]


@pytest.mark.parametrize("time", [NOW, NOW - 0.123, 0.0])
def test_a_time_that_is_set_stays_an_exact_number(time):
    mail = wish(NOW + 5)
    assert Mail.objects(id=mail.id, due_at=NOW + 5).update_one(set__due_at=time) == 1
    assert repr(Mail.objects.get().due_at) == repr(time)
    assert Mail.objects(due_at__lte=time).first() == mail
    assert Mail.objects(due_at__lte=time - 0.001).first() is None
    assert Mail.objects(id=mail.id, due_at=NOW + 5).update_one(set__due_at=1.0) == 0
    assert Mail.objects(id=mail.id, due_at=time).update_one(set__due_at=1.0) == 1


def test_a_wish_is_changed_by_who_holds_its_latest_claim_only(clock):
    clock.move_to(NOW)
    wish()
    lapsed = next(claims())
    clock.shift(86)
    mine = next(claims())
    for mail, changed in [(lapsed, 0), (mine, 1), (lapsed, 0), (mine, 1)]:
        held = Mail.objects(id=mail.id, attempts=mail.attempts)
        assert held.update_one(set__due_at=NOW + 99.7654321, set__last_error="x") == changed


def test_a_document_is_deleted_alone():
    gone, kept = wish(), wish()
    gone.delete()
    assert list(Mail.objects) == [kept]
    gone.delete()


def test_what_a_query_finds_is_deleted(user):
    wish(), wish()
    kept = wish(state=Mail.GIVEN_UP)
    Mail.objects(state=Mail.WAITING).delete()
    assert list(Mail.objects) == [kept]
    User.objects.delete()
    assert User.objects.first() is None


@pytest.mark.parametrize("text", AWKWARD, ids=lambda text: ascii(text[:12]))
def test_text_survives_insert_and_update(text):
    mail = wish(last_error=text)
    assert Mail.objects.get().last_error == text
    Mail.objects(id=mail.id).update_one(set__last_error=text + "!")
    assert Mail.objects.get().last_error == text + "!"
    Mail.objects(id=mail.id).update_one(set__last_error=text)
    assert Mail.objects.get().last_error == text


@pytest.mark.parametrize("text", ["o'brien+%_$1.{x}*?@example.com", "ünïcödé", "\\"])
def test_a_text_is_looked_up_by_as_it_is(text):
    user = User(email=text, password="x").save(force_insert=True)
    assert User.objects(email=text).first() == user
    with pytest.raises(NotUniqueError):
        User(email=text, password="x").save(force_insert=True)


def test_a_value_that_was_never_given_is_missing_and_an_empty_one_is_empty():
    User(**ADA, sessions={"a": Session()}).save(force_insert=True)
    User(email="eve@example.com", password="x", name="").save(force_insert=True)
    update = {"$set": {"sessions.b": Session().to_mongo()}}
    assert User.objects(email="eve@example.com").update_one(__raw__=update) == 1
    ada, eve = (User.objects.get(email=email) for email in (ADA["email"], "eve@example.com"))
    assert (ada.name, eve.name) == (None, "")
    assert ada.sessions["a"].rotated == eve.sessions["b"].rotated == {}


def test_of_16_simultaneous_conditional_updates_exactly_one_wins(user):
    def reset(index):
        query = User.objects(id=user.id, password_version=0)
        return query.update_one(set__password=str(index), inc__password_version=1, set__sessions={})

    won = at_once(16, reset)
    assert sorted(won) == [0] * 15 + [1]
    assert (stored().password, stored().password_version) == (str(won.index(1)), 1)


def test_of_16_simultaneous_refreshes_of_a_generation_exactly_one_wins(user):
    returned = at_once(16, lambda index: refresh(session(user), NOW + index))
    winners = [index for index, document in enumerate(returned) if document]
    assert len(winners) == 1
    a = stored().sessions["a"]
    assert (a.generation, a.last_used_at) == (1, NOW + winners[0])


def test_of_16_simultaneous_inserts_of_a_unique_value_exactly_one_wins():
    def insert(_):
        try:
            return User(**ADA).save(force_insert=True).id
        except NotUniqueError:
            return None

    ids = [inserted for inserted in at_once(16, insert) if inserted]
    assert ids == [stored().id]


def test_16_threads_claim_each_of_40_wishes_once(clock):
    clock.move_to(NOW)
    wishes = {wish(NOW - index).id for index in range(40)}
    taken = at_once(16, lambda _: [mail.id for mail in claims()])
    claimed = [mail for several in taken for mail in several]
    assert len(claimed) == 40
    assert set(claimed) == wishes


@pytest.mark.parametrize("path", ["password_version", "sessions.a.generation"])
def test_16_simultaneous_counts_add_up(user, path):
    update = {"$inc": {path: 1}}
    assert at_once(16, lambda _: User.objects(id=user.id).update_one(__raw__=update)) == [1] * 16
    assert User.objects(__raw__={"_id": user.id, path: 16}).first() == user


def test_16_simultaneous_sets_of_different_paths_all_stay(user):
    def log_in(index):
        update = {"$set": {f"sessions.s{index}": Session().to_mongo()}}
        return User.objects(id=user.id, password_version=0).update_one(__raw__=update)

    assert at_once(16, log_in) == [1] * 16
    assert stored().sessions.keys() == {"a", "b", "c", *(f"s{index}" for index in range(16))}


def test_documents_after_an_id_come_in_its_order_as_many_as_asked_for(documents):
    ids = [ObjectId(f"{number:024x}") for number in (5, 3, 9, 4)]
    for number in ids:
        User(id=number, email=f"{number}@x", password="x").save(force_insert=True)
    found = User.objects(id__gt=ids[1]).exclude("sessions").order_by("id").limit(2)
    assert [each.id for each in found] == [ids[3], ids[0]]


def test_the_map_of_sessions_is_read_alone(user):
    stored = User.objects(id=user.id).only("sessions", "logins").as_pymongo().first()
    assert stored.keys() == {"_id", "sessions", "logins"}
    assert stored["sessions"].keys() == {"a", "b", "c"}


def test_a_deletion_on_a_condition_happens_once(user):
    assert User.objects(id=user.id, password_version=1).delete() == 0
    assert User.objects(id=user.id, password_version=0).delete() == 1
    assert User.objects(id=user.id, password_version=0).delete() == 0


def test_documents_are_found_by_an_index_that_is_not_unique(user):
    User(email="eve@example.com", password="x", role="admin").save(force_insert=True)
    assert [each.email for each in User.objects(role="admin").limit(2)] == ["eve@example.com"]


@pytest.mark.parametrize("need", NEEDS, ids=lambda need: need.__name__)
def test_the_needs_that_db_check_tries_are_met(documents, need):
    assert problem_with(need) is None
